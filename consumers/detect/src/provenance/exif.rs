//! Just enough of Exif (CIPA DC-008) to read the texts in which programs name themselves.

/// Tags of the first directory and of Exif's own.
const TAGS: [(u16, &str); 3] = [
    (0x010E, "ImageDescription"),
    (0x0131, "Software"),
    (0x9286, "UserComment"),
];
/// The tag that points to Exif's own directory.
const EXIF: u16 = 0x8769;
/// Entries of a directory that are read, at most.
const MAX_ENTRIES: usize = 512;

/// The texts of `TAGS` in a TIFF structure; none where it is broken.
pub(super) fn texts(tiff: &[u8]) -> Vec<(&'static str, String)> {
    let little = match tiff {
        [b'I', b'I', 42, 0, ..] => true,
        [b'M', b'M', 0, 42, ..] => false,
        _ => return Vec::new(),
    };
    let reader = Reader { tiff, little };
    let mut found = Vec::new();
    let own = reader
        .number(4, 4)
        .and_then(|at| reader.directory(at, &mut found));
    if let Some(at) = own {
        reader.directory(at, &mut found);
    }
    found
}

struct Reader<'a> {
    tiff: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    fn number(&self, at: usize, width: usize) -> Option<usize> {
        let bytes = self.tiff.get(at..at.checked_add(width)?)?;
        let push = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(if self.little {
            bytes.iter().rev().fold(0, push)
        } else {
            bytes.iter().fold(0, push)
        })
    }

    /// Reads the texts of the directory at this place; where Exif's own directory is, if it says so.
    fn directory(&self, at: usize, found: &mut Vec<(&'static str, String)>) -> Option<usize> {
        let mut own = None;
        for entry in 0..self.number(at, 2)?.min(MAX_ENTRIES) {
            let at = at.checked_add(2 + entry * 12)?;
            let tag = u16::try_from(self.number(at, 2)?).ok()?;
            let (kind, count) = (self.number(at + 2, 2)?, self.number(at + 4, 4)?);
            if tag == EXIF {
                own = self.number(at + 8, 4);
            }
            // Texts (2) and bytes of any kind (7), four of which fit into the entry itself.
            if let Some((_, name)) = TAGS.iter().find(|(known, _)| *known == tag)
                && matches!(kind, 2 | 7)
            {
                let start = if count <= 4 {
                    at + 8
                } else {
                    self.number(at + 8, 4)?
                };
                let bytes = self.tiff.get(start..start.checked_add(count)?)?;
                found.push((name, text(bytes)));
            }
        }
        own
    }
}

/// A text, or a comment with its character set before it; one in UTF-16 loses what is no ASCII, which names are.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes
        .strip_prefix(b"ASCII\0\0\0")
        .or(bytes.strip_prefix(b"UNICODE\0"))
        .unwrap_or(bytes);
    let plain: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiff(software: &str) -> Vec<u8> {
        let mut tiff = b"II\x2A\0\x08\0\0\0\x01\0".to_vec();
        tiff.extend([0x31, 0x01, 2, 0]);
        tiff.extend((software.len() as u32).to_le_bytes());
        tiff.extend(26_u32.to_le_bytes());
        tiff.extend([0; 4]);
        tiff.extend(software.as_bytes());
        tiff
    }

    #[test]
    fn the_name_of_a_program_is_read_and_broken_tags_are_nothing() {
        let whole = tiff("Midjourney\0");
        assert_eq!(texts(&whole), [("Software", "Midjourney".to_owned())]);
        for cut in 0..whole.len() {
            assert!(texts(&whole[..cut]).is_empty());
        }
        // A directory that points to itself ends.
        let mut loops = whole.clone();
        loops[10..12].copy_from_slice(&[0x69, 0x87]);
        loops[18..22].copy_from_slice(&8_u32.to_le_bytes());
        assert!(texts(&loops).is_empty());
        assert!(texts(b"").is_empty());
    }
}
