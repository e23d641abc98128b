//! Reads the settings of this process: defaults, the file of the environment, variables.

use std::{collections::HashMap, ffi::OsString, path::PathBuf};

use engine::config::{Faults, Layers, Loaded};
use ingest_api::Environment;

use super::{Settings, kafka};

/// Names the folder of the files; without it that is `config` in the working directory, where a file that is not there is no
/// fault.
const FOLDER: &str = "TRUSTCARD_CONFIG_DIR";
/// Names the environment, and so the file.
const ENVIRONMENT: [&str; 2] = ["ENVIRONMENT", "TRUSTCARD__API__ENVIRONMENT"];
/// Plain names that operators know from the application before, and the keys they set.
const PLAIN_NAMES: &[(&str, &str)] = &[
    ("ENVIRONMENT", "api.environment"),
    ("API_HOST", "api.host"),
    ("API_PORT", "api.port"),
    ("APP_NAME", "api.app_name"),
    ("CORS_ORIGINS", "api.cors_origins"),
    ("DEBUG", "api.debug"),
    ("ENABLE_METRICS", "api.enable_metrics"),
    ("MAX_COMMENT_LENGTH", "api.max_comment_length"),
    ("MAX_URL_LENGTH", "api.max_url_length"),
    ("RATE_LIMIT_ENABLED", "api.rate_limit.enabled"),
    ("RATE_LIMIT_PER_HOUR", "api.rate_limit.per_hour"),
    ("RATE_LIMIT_PER_MINUTE", "api.rate_limit.per_minute"),
    ("SECRET_KEY", "api.secret_key"),
    ("LOG_LEVEL", "telemetry.level"),
    ("LOG_JSON", "telemetry.json"),
    ("LOG_FILE", "telemetry.file"),
];
const LISTS: &[&str] = &[
    "api.cors_origins",
    "api.proxy_headers",
    "api.trusted_proxies",
    "database.nodes",
    "scrape.network.media_hosts",
    "stages.admit.retry_topics_ms",
    "stages.record.retry_topics_ms",
    "stages.scrape.retry_topics_ms",
    "stages.detect.retry_topics_ms",
    "stages.score.retry_topics_ms",
    "stages.webhook.retry_topics_ms",
    "monitor.groups",
];

/// Keys whose values are never shown.
const SECRETS: &[&str] = &[
    "api.secret_key",
    "database.password",
    "scrape.upstream.session_id",
];

/// Reads and checks everything. Settings that depend on the environment have their value afterwards.
///
/// # Errors
/// All faults of all layers.
pub fn load(serves_api: bool) -> (Layers, Result<Loaded<Settings>, Faults>) {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    from_variables(std::env::vars_os().filter_map(text).collect(), serves_api)
}

fn from_variables(
    variables: HashMap<String, String>,
    serves_api: bool,
) -> (Layers, Result<Loaded<Settings>, Faults>) {
    let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let named = ENVIRONMENT.iter().find_map(|name| set(name));
    let environment = match named {
        None => Some(Environment::default()),
        // A name that is none is told as the value of its key; no file can be meant by it.
        Some(name) => Environment::from_name(name),
    };
    let folder = set(FOLDER).cloned();
    let layers = Layers {
        file_required: folder.is_some(),
        file: environment.map(|environment| {
            PathBuf::from(folder.as_deref().unwrap_or("config"))
                .join(format!("{}.toml", environment.name()))
        }),
        variables,
        plain_names: PLAIN_NAMES,
        lists: LISTS,
        dotted: &["kafka.client"],
        secrets: SECRETS,
        is_secret: kafka::is_secret,
    };
    let check = |settings: &Settings| {
        let mut problems = settings.problems(serves_api);
        let said = settings.api.environment;
        if environment.is_some_and(|environment| environment != said) {
            problems.push(
                "api.environment must not differ from the name of the file it stands in".to_owned(),
            );
        }
        problems
    };
    let loaded = engine::config::load(&layers, check).map(|mut loaded| {
        let settings: &mut Settings = &mut loaded.settings;
        let environment = settings.api.environment;
        settings.api.debug = Some(settings.api.debug_mode());
        let for_machines = environment != Environment::Development;
        settings.telemetry.json.get_or_insert(for_machines);
        loaded
    });
    (layers, loaded)
}
