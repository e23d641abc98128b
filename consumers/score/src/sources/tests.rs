use std::io::Write;

use super::*;
use crate::links::links;

fn rate(text: &str, verified: Option<bool>) -> Result<SourceEvidence, Reason> {
    let weights = SourceWeights::default();
    let poster = verified.map(|is_verified| Poster {
        username: "someone",
        is_verified,
    });
    SourceList::load(&weights)
        .unwrap()
        .rate(&links([text]), poster, &weights)
}

fn load_file(content: &str) -> Result<SourceList, SourceListError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    SourceList::load(&SourceWeights {
        file: Some(file.path().to_owned()),
        ..SourceWeights::default()
    })
}

#[test]
fn the_built_in_list_has_69_publishers() {
    let list = SourceList::load(&SourceWeights::default()).unwrap();
    assert_eq!(list.publishers.len(), 69);
    assert_eq!(
        list.publishers["infowars.com"].reliability,
        Reliability::VeryLow
    );
    assert_eq!(
        list.publishers["theonion.com"].reliability,
        Reliability::Satire
    );
}

#[test]
fn links_are_rated_by_registrable_domain_and_the_average_has_two_decimals() {
    let found = rate(
        "https://www.reuters.com/a https://news.bbc.com/b https://unheard-of.example https://bit.ly/x",
        None,
    )
    .unwrap();
    let ratings: Vec<_> = found.rated.iter().map(|link| link.reliability).collect();
    use Reliability::{High, Unknown, VeryHigh};
    assert_eq!(ratings, [VeryHigh, High, Unknown, Unknown]);
    assert_eq!(found.average, 0.7);
    let thirds = rate("https://bbc.com https://cnn.com https://x.com", None).unwrap();
    assert_eq!(thirds.average, 0.63, "(0.8 + 0.8 + 0.3) / 3 rounded");
}

#[test]
fn only_the_first_five_links_are_rated_and_one_domain_may_count_twice() {
    let found = rate(
        "https://a.example https://b.example https://bbc.com/1 https://bbc.com/2 https://bbc.com/1 https://c.example \
         https://infowars.com",
        None,
    )
    .unwrap();
    let urls: Vec<_> = found.rated.iter().map(|link| link.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://a.example",
            "https://b.example",
            "https://bbc.com/1",
            "https://bbc.com/2",
            "https://c.example"
        ]
    );
    assert_eq!(found.average, 0.62);
}

#[test]
fn without_links_the_account_counts() {
    assert_eq!(rate("no links", Some(true)).unwrap().average, 0.6);
    assert_eq!(rate("no links", Some(false)).unwrap().average, 0.4);
    assert_eq!(rate("no links", None), Err(Reason::NoAuthor));
    assert_eq!(rate("https://bbc.com", None).unwrap().average, 0.8);
}

#[test]
fn a_publishers_own_account_counts_as_the_publisher_if_it_is_verified() {
    let weights = SourceWeights::default();
    let list = load_file("domain,name,bias,reliability,accounts\nlocal.example,Local,left,high,local_news Local.Sport\n").unwrap();
    let average = |text: &str, username, is_verified| {
        let found = list
            .rate(
                &links([text]),
                Some(Poster {
                    username,
                    is_verified,
                }),
                &weights,
            )
            .unwrap();
        (found.average, found.account)
    };
    assert_eq!(
        average("", "Reuters", true),
        (1.0, Some("Reuters".to_owned()))
    );
    assert_eq!(
        average("", "theonion", true),
        (0.0, Some("The Onion".to_owned()))
    );
    assert_eq!(
        average("", "reuters", false),
        (0.4, None),
        "anyone can call themselves so"
    );
    assert_eq!(average("", "reuters_fan", true), (0.6, None));
    assert_eq!(
        average("", "local.sport", true),
        (0.8, Some("Local".to_owned()))
    );
    assert_eq!(
        average("https://x.com", "reuters", true),
        (0.3, None),
        "links come first"
    );
}

#[test]
fn a_shortened_link_is_unknown_whatever_it_may_lead_to() {
    let found = rate("https://bit.ly/abc https://example.org/x", None).unwrap();
    let seen: Vec<_> = found
        .rated
        .iter()
        .map(|link| (link.shortened, link.reliability))
        .collect();
    assert_eq!(
        seen,
        [(true, Reliability::Unknown), (false, Reliability::Unknown)]
    );
    let refused =
        load_file("domain,name,bias,reliability\nbit.ly,Bitly,center,high\n").unwrap_err();
    assert!(
        refused.to_string().contains("bit.ly shortens links"),
        "{refused}"
    );
}

#[test]
fn a_private_suffix_is_not_its_tenants() {
    let list = load_file("domain,name,bias,reliability\ntenant.blogspot.com,Tenant,center,high\n")
        .unwrap();
    let weights = SourceWeights::default();
    let average = |url: &str| list.rate(&links([url]), None, &weights).unwrap().average;
    assert_eq!(average("https://tenant.blogspot.com/x"), 0.8);
    assert_eq!(average("https://other.blogspot.com/x"), 0.5);
}

#[test]
fn an_operators_file_extends_and_overrides() {
    let list = load_file("domain,name,bias,reliability\nbbc.com,BBC,center,very-high\nlocal.example,Local,left,low\n").unwrap();
    assert_eq!(list.publishers.len(), 70);
    assert_eq!(
        list.publishers["bbc.com"].reliability,
        Reliability::VeryHigh
    );
    assert_eq!(
        list.publishers["local.example"].reliability,
        Reliability::Low
    );
}

#[test]
fn a_file_that_can_not_be_meant_is_refused_with_what_to_do() {
    let message = |content: &str| load_file(content).unwrap_err().to_string();
    let header = "domain,name,bias,reliability\n";
    assert!(
        message(&format!("{header}www.bbc.com,BBC,center,high\n")).ends_with("; write bbc.com")
    );
    assert!(
        message(&format!("{header}co.uk,UK,center,high\n")).contains("is not a registrable domain")
    );
    assert!(message(&format!("{header}a.example,A,center,best\n")).contains("line: 2"));
    assert!(message("domain,name\na.example,A\n").contains("missing field"));
    let missing = SourceWeights {
        file: Some("/nonexistent/sources.csv".into()),
        ..SourceWeights::default()
    };
    assert!(matches!(
        SourceList::load(&missing),
        Err(SourceListError::Unreadable { .. })
    ));
}
