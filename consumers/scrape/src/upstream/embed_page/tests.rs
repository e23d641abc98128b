use super::*;

const PAGE: &str = r##"<!DOCTYPE html><html><head><title>a < b</title><script>var x = "<div class='Caption'>no</div>";</script></head>
<body><!-- <img class="EmbeddedMediaImage" src="no"> --><div class="Embed " data-media-type="GraphSidecar">
<a class="Avatar"><img src="/avatar.jpg" alt="a > b"></a><span class="UsernameText">tide.watch</span>
<img class="EmbeddedMediaImage" alt="Post shared by &#064;tide.watch" src="https://a.fbcdn.net/x.jpg?a=1&amp;b=2" srcset="y 640w">
<img class="EmbeddedMediaImage" src="second">
<div class="Caption"><a class="CaptionUsername" href="/tide.watch/">tide.watch</a><br /><br />
First  line &amp; more<br/>Second <a href="/tags/x">#x</a> &lt;3 &#x1F30A; &unknown; &#xD800; AT&T<p>third</p>
<div class="CaptionComments"><a>View all 5 comments</a></div></div><div>after</div></div></body></html>"##;

#[test]
fn caption_author_and_first_picture_are_found() {
    let page = read(PAGE);
    assert_eq!(page.media_type.as_deref(), Some("GraphSidecar"));
    assert_eq!(page.username.as_deref(), Some("tide.watch"));
    assert_eq!(
        page.picture.as_deref(),
        Some("https://a.fbcdn.net/x.jpg?a=1&b=2")
    );
    let caption = page.caption.unwrap();
    assert_eq!(
        caption,
        "First line & more\nSecond #x <3 \u{1F30A} &unknown; &#xD800; AT&Tthird"
    );
}

#[test]
fn a_page_without_a_post_gives_nothing() {
    for html in [
        "",
        "plain text",
        "<div class=\"Embed EmbedIsBroken\"><div class=\"ebmMessage\">The link may be broken</div></div>",
        "<html><body><div id=\"react-root\"></div></body></html>",
    ] {
        let page = read(html);
        assert_eq!(
            (page.picture, page.caption, page.username),
            (None, None, None),
            "{html}"
        );
    }
}

#[test]
fn attributes_are_read_in_every_spelling() {
    for tag in [
        "<IMG CLASS=EmbeddedMediaImage SRC=x>",
        "<img class='EmbeddedMediaImage' src='x'/>",
        "<img\nsrc = \"x\"\tclass = \" a EmbeddedMediaImage b \" hidden>",
        "<img data-src=\"no\" hidden =  class=\"EmbeddedMediaImage\" src=x >",
        "<img \"\" = / class=\"EmbeddedMediaImage\" src=\"x\">",
    ] {
        let expected = if tag.contains("hidden =  class") {
            None
        } else {
            Some("x".to_owned())
        };
        assert_eq!(read(tag).picture, expected, "{tag}");
    }
    assert_eq!(
        read("<img class=\"EmbeddedMediaImageX\" src=x>").picture,
        None
    );
}

/// Cut anywhere, or with any byte replaced, the page is read to some end.
#[test]
fn broken_pages_end_quietly() {
    for (at, _) in PAGE.char_indices() {
        read(&PAGE[..at]);
        read(&PAGE[at..]);
        for sign in ["<", ">", "\"", "&", "ä", "</"] {
            read(&format!("{}{sign}{}", &PAGE[..at], &PAGE[at..]));
        }
    }
    for text in [
        "<", "</", "<!", "<!--", "<a", "<a b='", "&", "&;", "&#;", "&#x;", "<script>", "<a =>",
        "<//>",
    ] {
        read(text);
    }
}

/// Work grows with the length of the page, not with its square: a megabyte of each would take minutes otherwise.
#[test]
fn hostile_pages_take_one_pass() {
    for piece in [
        "<",
        "<a ",
        "&",
        "<!--",
        "</",
        "<div class=\"Caption\">",
        "<script>",
        "\"<a '",
    ] {
        read(&piece.repeat(1_000_000 / piece.len()));
    }
}
