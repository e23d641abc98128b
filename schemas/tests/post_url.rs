//! The URL rules, one sentence after the other: what passes, what it becomes, and why the rest is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use UrlError::{
    Characters, Empty, Host, Path, PercentEncoded, Port, Scheme, Shortcode, TooLong, UserInfo,
};
use proptest::prelude::*;
use trustcard_schemas::{
    PostRef, UrlError,
    post_url::{MAX_URL_LENGTH, is_shortcode},
};

const CODE: &str = "CHAIm2sHSQZ";
const POST: &str = "https://www.instagram.com/p/CHAIm2sHSQZ/";
const REEL: &str = "https://www.instagram.com/reel/CHAIm2sHSQZ/";
const TV: &str = "https://www.instagram.com/tv/CHAIm2sHSQZ/";

fn parse(input: &str) -> Result<PostRef, UrlError> {
    PostRef::parse(input, MAX_URL_LENGTH)
}

fn passes(cases: &[(&str, &str)]) {
    for (input, canonical) in cases {
        let post = parse(input).unwrap_or_else(|error| panic!("{input:?}: {error}"));
        assert_eq!(post.url, *canonical, "{input:?}");
        assert_eq!(post.post_id, CODE, "{input:?}");
    }
}

fn refused(cases: &[(&str, UrlError)]) {
    for (input, error) in cases {
        assert_eq!(parse(input), Err(*error), "{input:?}");
    }
}

#[test]
fn http_and_https_pass_whatever_their_case_and_nothing_else_does() {
    passes(&[
        ("https://www.instagram.com/p/CHAIm2sHSQZ/", POST),
        ("http://www.instagram.com/p/CHAIm2sHSQZ/", POST),
        ("HTTPS://www.instagram.com/p/CHAIm2sHSQZ/", POST),
        ("hTTp://www.instagram.com/p/CHAIm2sHSQZ/", POST),
    ]);
    refused(&[
        ("www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("//www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("ftp://www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("file:///p/CHAIm2sHSQZ/", Scheme),
        ("javascript:alert(1)//instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("javascript://instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("https:/www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("https:www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("://www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        ("xhttps://www.instagram.com/p/CHAIm2sHSQZ/", Scheme),
        (
            "view-source:https://www.instagram.com/p/CHAIm2sHSQZ/",
            Scheme,
        ),
        (CODE, Scheme),
    ]);
}

#[test]
fn the_host_is_one_of_four_in_any_case() {
    passes(&[
        ("https://instagram.com/p/CHAIm2sHSQZ", POST),
        ("https://www.instagram.com/p/CHAIm2sHSQZ", POST),
        ("https://m.instagram.com/p/CHAIm2sHSQZ", POST),
        ("https://instagr.am/p/CHAIm2sHSQZ", POST),
        ("https://INSTAGRAM.COM/p/CHAIm2sHSQZ", POST),
        ("https://wWw.InstaGram.cOm/p/CHAIm2sHSQZ", POST),
        ("https://INSTAGR.AM/p/CHAIm2sHSQZ", POST),
    ]);
}

#[test]
fn look_alike_hosts_are_refused() {
    for host in [
        "instagram.com.evil.com",
        "evil-instagram.com",
        "evilinstagram.com",
        "instagram.com-evil.com",
        "instagram.comm",
        "instagram.co",
        "instagram.org",
        "www.www.instagram.com",
        "api.instagram.com",
        "i.instagram.com",
        "www.instagr.am",
        "m.instagr.am",
        "instagr.am.evil.com",
        "instagram",
        "instagrarn.com",
        "1nstagram.com",
        "instagram.com.",
        "www.instagram.com.",
        "instagram.com..",
        ".instagram.com",
        "www..instagram.com",
        "www.instagram,com",
        "instagram_com",
        "127.0.0.1",
        "2130706433",
        "[::1]x",
        "localhost",
        "",
    ] {
        let url = format!("https://{host}/p/{CODE}/");
        let error = parse(&url).unwrap_err();
        // A host in brackets has colons, so it reads as one with a port.
        assert!(matches!(error, Host | Port), "{url}: {error:?}");
    }
    refused(&[
        ("https://evil.com/instagram.com/p/CHAIm2sHSQZ/", Host),
        (
            "https://evil.com/?https://instagram.com/p/CHAIm2sHSQZ/",
            Host,
        ),
        ("https://evil.com#instagram.com/p/CHAIm2sHSQZ/", Host),
        ("https:///p/CHAIm2sHSQZ/", Host),
        ("https://https://instagram.com/p/CHAIm2sHSQZ/", Port),
    ]);
}

#[test]
fn hosts_outside_ascii_are_refused() {
    for host in [
        "іnstagram.com",
        "instagrаm.com",
        "ınstagram.com",
        "İnstagram.com",
        "instagram。com",
        "instagram．com",
        "ｉｎｓｔａｇｒａｍ.com",
        "instagram.com\u{200b}",
        "insta\u{ad}gram.com",
        "www\u{2024}instagram.com",
        "xn--nstagram-skb.com",
        "instagram.com／p",
        "instagram.com\u{202e}",
    ] {
        refused(&[(&format!("https://{host}/p/{CODE}/"), Host)]);
    }
    refused(&[
        ("https://instagram%2ecom/p/CHAIm2sHSQZ/", Host),
        ("https://%69nstagram.com/p/CHAIm2sHSQZ/", Host),
    ]);
}

#[test]
fn no_user_info() {
    refused(&[
        ("https://me@instagram.com/p/CHAIm2sHSQZ/", UserInfo),
        ("https://me:pw@instagram.com/p/CHAIm2sHSQZ/", UserInfo),
        ("https://@instagram.com/p/CHAIm2sHSQZ/", UserInfo),
        ("https://instagram.com@evil.com/p/CHAIm2sHSQZ/", UserInfo),
        (
            "https://instagram.com:443@evil.com/p/CHAIm2sHSQZ/",
            UserInfo,
        ),
        (r"https://evil.com\@instagram.com/p/CHAIm2sHSQZ/", UserInfo),
        (r"https://instagram.com\@evil.com/p/CHAIm2sHSQZ/", UserInfo),
    ]);
    passes(&[("https://instagram.com/p/CHAIm2sHSQZ/?me@evil.com", POST)]);
}

#[test]
fn no_port_but_the_schemes_own() {
    passes(&[
        ("https://instagram.com:443/p/CHAIm2sHSQZ/", POST),
        ("http://instagram.com:80/p/CHAIm2sHSQZ/", POST),
    ]);
    refused(&[
        ("https://instagram.com:80/p/CHAIm2sHSQZ/", Port),
        ("http://instagram.com:443/p/CHAIm2sHSQZ/", Port),
        ("https://instagram.com:8443/p/CHAIm2sHSQZ/", Port),
        ("https://instagram.com:/p/CHAIm2sHSQZ/", Port),
        ("https://instagram.com:0443/p/CHAIm2sHSQZ/", Port),
        ("https://instagram.com:443:443/p/CHAIm2sHSQZ/", Port),
        ("https://instagram.com:+443/p/CHAIm2sHSQZ/", Port),
        ("https://instagram.com:x/p/CHAIm2sHSQZ/", Port),
        ("https://evil.com:443/p/CHAIm2sHSQZ/", Host),
    ]);
}

#[test]
fn the_path_is_that_of_a_post() {
    passes(&[
        ("https://instagram.com/p/CHAIm2sHSQZ/", POST),
        ("https://instagram.com/p/CHAIm2sHSQZ", POST),
        ("https://instagram.com/reel/CHAIm2sHSQZ/", REEL),
        ("https://instagram.com/reels/CHAIm2sHSQZ/", REEL),
        ("https://instagram.com/tv/CHAIm2sHSQZ/", TV),
        ("https://instagram.com/some.user_1/p/CHAIm2sHSQZ/", POST),
        ("https://instagram.com/some.user_1/reel/CHAIm2sHSQZ", REEL),
    ]);
    refused(&[
        ("https://instagram.com", Path),
        ("https://instagram.com/", Path),
        ("https://instagram.com/p", Path),
        ("https://instagram.com/p/", Path),
        ("https://instagram.com//p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/p//CHAIm2sHSQZ/", Path),
        ("https://instagram.com/p/CHAIm2sHSQZ//", Path),
        ("https://instagram.com/p/CHAIm2sHSQZ/embed/", Path),
        ("https://instagram.com/P/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/Reel/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/explore/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/stories/user/1234/", Path),
        ("https://instagram.com/user/tv/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/user/reels/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/a/b/p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/us er/p/CHAIm2sHSQZ/", Characters),
        ("https://instagram.com/us-er/p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/../p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/./p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/p/../CHAIm2sHSQZ/", Path),
        ("https://instagram.com/?/p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com#/p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com?x=/p/CHAIm2sHSQZ/", Path),
        ("https://instagram.com/some.user_1/", Path),
    ]);
}

#[test]
fn shortcodes_have_1_to_64_of_their_characters() {
    for (length, fits) in [(1, true), (11, true), (64, true), (65, false), (500, false)] {
        let code = "aZ0_-".repeat(length)[..length].to_owned();
        let found = parse(&format!("https://instagram.com/p/{code}/"));
        assert_eq!(found.is_ok(), fits, "{length}");
        assert_eq!(is_shortcode(&code), fits, "{length}");
        if let Ok(post) = found {
            assert_eq!(post.post_id, code);
        } else {
            assert_eq!(found, Err(Shortcode));
        }
    }
    assert!(!is_shortcode(""));
    for code in [
        "a.b", "a+b", "a=b", "a!", "a~", "a:b", "a@b", "a,b", "a;b=1", "a*", "'a'", "<a>",
    ] {
        refused(&[(&format!("https://instagram.com/p/{code}/"), Shortcode)]);
    }
}

#[test]
fn shortcodes_are_case_sensitive_and_are_the_identity() {
    let id = |url: &str| parse(url).unwrap().post_id;
    assert_ne!(
        id("https://instagram.com/p/abc/"),
        id("https://instagram.com/p/ABC/")
    );
    assert_eq!(
        id("https://INSTAGRAM.com/p/aBc/"),
        id("http://instagr.am/someone/reel/aBc?x=1")
    );
}

#[test]
fn no_percent_encoding_in_the_path() {
    refused(&[
        ("https://instagram.com/p/CHAIm2sHSQ%5A/", PercentEncoded),
        ("https://instagram.com/%70/CHAIm2sHSQZ/", PercentEncoded),
        ("https://instagram.com/p%2FCHAIm2sHSQZ/", PercentEncoded),
        ("https://instagram.com/p/CHAIm2sHSQZ%00/", PercentEncoded),
        ("https://instagram.com/p/CHAIm2sHSQZ%", PercentEncoded),
        (
            "https://instagram.com/us%65r/p/CHAIm2sHSQZ/",
            PercentEncoded,
        ),
    ]);
    passes(&[("https://instagram.com/p/CHAIm2sHSQZ/?q=%41%zz", POST)]);
}

#[test]
fn query_and_fragment_are_dropped() {
    passes(&[
        (
            "https://instagram.com/p/CHAIm2sHSQZ/?igsh=MzRlODBi&img_index=2",
            POST,
        ),
        ("https://instagram.com/p/CHAIm2sHSQZ?x", POST),
        ("https://instagram.com/p/CHAIm2sHSQZ/#comments", POST),
        ("https://instagram.com/p/CHAIm2sHSQZ#", POST),
        ("https://instagram.com/p/CHAIm2sHSQZ/?a#b?c", POST),
        ("https://instagram.com/p/CHAIm2sHSQZ/#a?b", POST),
        (
            "https://instagram.com/p/CHAIm2sHSQZ/?u=https://evil.com/p/X/",
            POST,
        ),
        ("https://instagram.com/p/CHAIm2sHSQZ/?name=Zoë", POST),
        (r"https://instagram.com/p/CHAIm2sHSQZ/?a\b", POST),
    ]);
}

#[test]
fn control_characters_white_space_and_backslashes_are_refused() {
    refused(&[
        ("https://instagram.com/p/CHAIm2sHSQZ\0/", Characters),
        (
            "https://instagram.com\0.evil.com/p/CHAIm2sHSQZ/",
            Characters,
        ),
        ("https://instagram.com/p/CHAIm2sHSQZ/?\0", Characters),
        ("\0https://instagram.com/p/CHAIm2sHSQZ/", Characters),
        ("https://insta\tgram.com/p/CHAIm2sHSQZ/", Characters),
        ("ht\ntps://instagram.com/p/CHAIm2sHSQZ/", Characters),
        (
            "https://instagram.com/p/CHAIm2sHSQZ/\r\nX-Header: 1",
            Characters,
        ),
        ("https://instagram.com/p/CHAIm2sHSQZ\u{7f}/", Characters),
        ("https://instagram.com/p/CHAIm2sHSQZ\u{85}/", Characters),
        ("https://instagram.com/p/CHAIm2sHSQZ\u{2028}/", Characters),
        ("https://instagram.com/p/CHAI m2sHSQZ/", Characters),
        ("https://instagram.com/p/CHAIm2sHSQZ\u{a0}/", Characters),
        ("https://instagram.com/p/CHAIm2sHSQé/", Characters),
        ("https://instagram.com/p/CHAIm2sHSQZ\u{200b}/", Characters),
        ("https://instagram.com/p/１２３/", Characters),
        (r"https:\\instagram.com\p\CHAIm2sHSQZ", Scheme),
        (r"https://instagram.com\p\CHAIm2sHSQZ", Host),
        (r"https://instagram.com/p\CHAIm2sHSQZ/", Path),
        (r"https://instagram.com/p/CHAIm2sHSQZ\", Shortcode),
        (r"https://instagram.com\.evil.com/p/CHAIm2sHSQZ/", Host),
    ]);
}

#[test]
fn white_space_around_a_url_is_what_pasting_leaves_behind() {
    passes(&[
        ("  https://instagram.com/p/CHAIm2sHSQZ/ ", POST),
        ("\thttps://instagram.com/p/CHAIm2sHSQZ/\r\n", POST),
    ]);
    refused(&[("", Empty), ("   ", Empty), ("\r\n", Empty)]);
}

#[test]
fn characters_2000_pass_and_2001_do_not() {
    let padded = |length: usize, with: &str| {
        let start = format!("{POST}?q=");
        format!("{start}{}", with.repeat(length - start.len()))
    };
    assert_eq!(MAX_URL_LENGTH, 2000);
    for with in ["x", "ü", "😮"] {
        assert_eq!(parse(&padded(2000, with)).unwrap().url, POST, "{with}");
        assert_eq!(parse(&padded(2001, with)), Err(TooLong(2000)), "{with}");
    }
    assert_eq!(PostRef::parse(POST, POST.len()).unwrap().url, POST);
    assert_eq!(
        PostRef::parse(POST, POST.len() - 1),
        Err(TooLong(POST.len() - 1))
    );
    let space = " ".repeat(2001);
    assert_eq!(parse(&space), Err(TooLong(2000)));
}

#[test]
fn every_error_tells_the_sender_what_is_wrong() {
    for error in [
        Empty,
        TooLong(2000),
        Characters,
        Scheme,
        UserInfo,
        Port,
        Host,
        PercentEncoded,
        Path,
        Shortcode,
    ] {
        assert!(error.to_string().len() > 10, "{error:?}");
    }
    assert!(TooLong(2000).to_string().contains("2000"));
}

/// Text that is close enough to a URL to get past the first checks.
fn nearly() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("https://"),
        Just("http://"),
        Just("instagram.com"),
        Just("www."),
        Just("m."),
        Just("instagr.am"),
        Just("/"),
        Just("p/"),
        Just("reel/"),
        Just("reels/"),
        Just("tv/"),
        Just("user/"),
        Just("abc"),
        Just("-_"),
        Just(":443"),
        Just(":80"),
        Just("@"),
        Just("?"),
        Just("#"),
        Just("%"),
        Just("\\"),
        Just(" "),
        Just("\0"),
        Just("é"),
        Just("."),
        Just("A1"),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn check(input: &str) -> Result<(), TestCaseError> {
    if let Ok(post) = parse(input) {
        prop_assert!(is_shortcode(&post.post_id));
        prop_assert!(input.contains(&post.post_id));
        let again = parse(&post.url);
        prop_assert_eq!(again.as_ref(), Ok(&post));
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_panics(input in any::<String>(), limit in 0..3000usize) {
        check(&input)?;
        let _ = PostRef::parse(&input, limit);
    }

    #[test]
    fn nearly_urls_do_not_panic_and_canonical_urls_parse_to_themselves(input in nearly()) {
        check(&input)?;
    }

    #[test]
    fn every_shortcode_parses_under_every_path(
        code in "[A-Za-z0-9_-]{1,64}",
        path in prop_oneof![Just("p"), Just("reel"), Just("reels"), Just("tv"), Just("u.ser_1/p"), Just("u/reel")],
        tail in "(/|/\\?[a-z=&]{0,9}|#[a-z]{0,5})?",
    ) {
        let input = format!("http://m.instagram.com/{path}/{code}{tail}");
        let post = parse(&input);
        prop_assert_eq!(post.as_ref().map(|p| p.post_id.as_str()), Ok(code.as_str()));
        check(&input)?;
    }
}
