//! Who may do what. An analysis is readable by its id; everything else belongs to the holder of the key that made it. The admin key
//! may see and delete everything.

use store::KeyRole;

use crate::{
    caller::Caller,
    config::{ApiConfig, Environment},
    error::ApiError,
};

/// What needs a key, of whichever role; in development nobody needs one, because elsewhere nobody without a key can be held to a quota.
///
/// # Errors
/// 401 elsewhere; `what` begins its sentence.
pub fn key_or_development(config: &ApiConfig, caller: &Caller, what: &str) -> Result<(), ApiError> {
    match (caller.holder(), config.environment) {
        (Some(_), _) | (None, Environment::Development) => Ok(()),
        (None, Environment::Staging | Environment::Production) => Err(ApiError::unauthorized(what)),
    }
}

/// What needs the admin key, in every environment.
///
/// # Errors
/// 401 without a key, 403 with another; `what` begins the sentence.
pub fn admin(caller: &Caller, what: &str) -> Result<(), ApiError> {
    match caller.holder().map(|holder| holder.role) {
        Some(KeyRole::Admin) => Ok(()),
        Some(KeyRole::Partner) => Err(ApiError::forbidden(what)),
        None => Err(ApiError::unauthorized(what)),
    }
}

/// Whether the caller may see what `owner` made; what was made without a key is nobody's, and everybody's.
#[must_use]
pub fn may_see(caller: &Caller, owner: Option<&str>) -> bool {
    let Some(owner) = owner else {
        return true;
    };
    caller
        .holder()
        .is_some_and(|holder| holder.role == KeyRole::Admin || &*holder.name == owner)
}

/// Whose analyses a listing shows; `None` is everybody's.
///
/// # Errors
/// 401 without a key, but in development.
pub fn listed(config: &ApiConfig, caller: &Caller) -> Result<Option<String>, ApiError> {
    key_or_development(config, caller, "Listing analyses")?;
    let partner = caller
        .holder()
        .filter(|holder| holder.role == KeyRole::Partner);
    Ok(partner.map(|holder| holder.name.to_string()))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::{caller::Identity, error::Code, keys::Holder};

    fn caller(holder: Option<(&str, KeyRole)>) -> Caller {
        let holder = holder.map(|(name, role)| Holder {
            name: name.into(),
            role,
            quota: store::Quota::default(),
        });
        Caller {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            identity: holder.map_or(Identity::Anonymous, Identity::Holder),
        }
    }

    #[test]
    fn each_sees_its_own_and_the_admin_everything() {
        let (nobody, acme, admin) = (
            caller(None),
            caller(Some(("acme", KeyRole::Partner))),
            caller(Some(("root", KeyRole::Admin))),
        );
        let sees =
            |caller: &Caller| [None, Some("acme"), Some("other")].map(|o| may_see(caller, o));
        assert_eq!(sees(&nobody), [true, false, false]);
        assert_eq!(sees(&acme), [true, true, false]);
        assert_eq!(sees(&admin), [true, true, true]);
        let mut config = ApiConfig::default();
        assert_eq!(listed(&config, &nobody).unwrap(), None);
        assert_eq!(listed(&config, &acme).unwrap().as_deref(), Some("acme"));
        assert_eq!(listed(&config, &admin).unwrap(), None);
        config.environment = Environment::Production;
        let refused = listed(&config, &nobody).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthorized);
        assert_eq!(listed(&config, &acme).unwrap().as_deref(), Some("acme"));
    }

    #[test]
    fn only_the_admin_key_deletes_in_development_too() {
        let code = |holder| super::admin(&caller(holder), "This").map_err(|error| error.code());
        assert_eq!(code(None), Err(Code::Unauthorized));
        assert_eq!(code(Some(("acme", KeyRole::Partner))), Err(Code::Forbidden));
        assert_eq!(code(Some(("root", KeyRole::Admin))), Ok(()));
    }
}
