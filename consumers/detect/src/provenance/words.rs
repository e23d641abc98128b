//! The words that generators leave, and where they mean something.

/// Generators by the names that they write into tags for programs, in lower case, and what they are called.
const GENERATORS: [(&str, &str); 14] = [
    ("adobe firefly", "Adobe Firefly"),
    ("automatic1111", "Stable Diffusion"),
    ("bing image creator", "Bing Image Creator"),
    ("comfyui", "ComfyUI"),
    ("dall-e", "DALL-E"),
    ("dall·e", "DALL-E"),
    ("ideogram", "Ideogram"),
    ("imagined with ai", "Meta AI"),
    ("invokeai", "InvokeAI"),
    ("leonardo.ai", "Leonardo.Ai"),
    ("made with google ai", "Google AI"),
    ("midjourney", "Midjourney"),
    ("novelai", "NovelAI"),
    ("stable diffusion", "Stable Diffusion"),
];
/// What stands before an IPTC digital source type.
const SOURCE_TYPE: &str = "cv.iptc.org/newscodes/digitalsourcetype/";

/// The generator that a text names.
pub(super) fn generator(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let found = GENERATORS.iter().find(|(word, _)| text.contains(word));
    found.map(|(_, name)| *name)
}

/// The generator that a tag says the picture was made by. A name counts only where programs write their own; in a description
/// or a comment a person may speak of anything, so there only what no person writes counts.
pub(super) fn in_tag(tag: &str, text: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().all(|word| text.contains(word));
    match tag.to_lowercase().as_str() {
        "software" | "creatortool" | "credit" | "source" => generator(text),
        "parameters" | "usercomment" if has(&["Steps: ", "Sampler: "]) => Some("Stable Diffusion"),
        "prompt" | "workflow" if has(&["class_type"]) || has(&["\"nodes\"", "\"links\""]) => {
            Some("ComfyUI")
        }
        "description" | "imagedescription" if has(&["Job ID: "]) => Some("Midjourney"),
        "invokeai_metadata" | "sd-metadata" | "dream" => Some("InvokeAI"),
        "comment" if has(&["\"sampler\"", "\"steps\"", "\"scale\""]) => Some("NovelAI"),
        _ => None,
    }
}

/// The last part of the first digital source type in a text.
pub(super) fn digital_source_type(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(SOURCE_TYPE)?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

/// The value of an XMP property, as an attribute or an element of any prefix.
pub(super) fn xmp_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let attribute = format!(":{name}=\"");
    if let Some((_, rest)) = text.split_once(&attribute) {
        return rest.split('"').next();
    }
    let (_, rest) = text.split_once(&format!(":{name}>"))?;
    rest.split('<')
        .next()
        .filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_only_where_programs_write_theirs() {
        assert_eq!(in_tag("Software", "Midjourney 6"), Some("Midjourney"));
        assert_eq!(in_tag("ImageDescription", "I do not like Midjourney"), None);
        assert_eq!(in_tag("Software", "Adobe Photoshop 25.0"), None);
        let parameters = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7";
        assert_eq!(in_tag("parameters", parameters), Some("Stable Diffusion"));
        assert_eq!(in_tag("parameters", "Steps: climb up"), None);
        assert_eq!(
            in_tag("prompt", r#"{"3": {"class_type": "KSampler"}}"#),
            Some("ComfyUI")
        );
        assert_eq!(in_tag("prompt", "what I was asked"), None);
    }

    #[test]
    fn source_types_and_xmp_values_are_cut_out() {
        let uri = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>";
        assert_eq!(digital_source_type(uri), Some("trainedAlgorithmicMedia"));
        assert_eq!(digital_source_type("digitalsourcetype/x"), None);
        assert_eq!(
            xmp_value("xmp:CreatorTool=\"A b\" x", "CreatorTool"),
            Some("A b")
        );
        assert_eq!(
            xmp_value("<xmp:CreatorTool>A</xmp:CreatorTool>", "CreatorTool"),
            Some("A")
        );
        assert_eq!(xmp_value("nothing", "CreatorTool"), None);
    }
}
