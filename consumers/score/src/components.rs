//! What each component found, as results carry it: coverage, and one JSON object a component.

use std::collections::BTreeSet;

use schemas::events::detections::{PictureDetections, Status, VideoDetections};
use schemas::events::result::{ComponentResults, Coverage};
use schemas::{Detections, PictureFinding};
use serde_json::{Map, Value, json};

use crate::config::ScoringConfig;
use crate::pictures::{Answer, PictureSummary, Tally};
use crate::sources::SourceEvidence;
use crate::text::{TextSignals, Unread};

mod media;

/// The components of one analysis.
pub(crate) struct Components<'a> {
    pub detections: &'a Detections,
    pub ai: Tally,
    pub deepfake: Tally,
    pub ocr: Tally,
    pub fact_check: Tally,
    pub sources: Tally,
    pub pictures: &'a PictureSummary,
    pub signals: Result<&'a TextSignals, &'a Unread>,
    pub requires_review: bool,
    pub source_evidence: Option<&'a SourceEvidence>,
    pub config: &'a ScoringConfig,
}

impl Components<'_> {
    /// One entry per component, in the order of the pipeline.
    pub(crate) fn coverage(&self) -> Vec<Coverage> {
        [
            ("instagram_extraction", self.extraction()),
            ("ai_detection", self.ai),
            ("ocr", self.ocr),
            ("deepfake", self.deepfake),
            ("fact_check", self.fact_check),
            ("source_credibility", self.sources),
        ]
        .into_iter()
        .map(|(component, tally)| Coverage {
            component: component.to_owned(),
            status: tally.status,
            reason: tally.reason,
            analysed: tally.analysed,
            failed: tally.failed,
        })
        .collect()
    }

    /// The post was read, or there would be no detections; its media may have failed.
    fn extraction(&self) -> Tally {
        let media = &self.detections.content.media;
        let count = |fetched: bool| {
            u32::try_from(media.iter().filter(|m| m.blob.is_some() == fetched).count())
                .unwrap_or(u32::MAX)
        };
        Tally {
            failed: count(false),
            ..Tally::completed(count(true))
        }
    }

    pub(crate) fn results(&self) -> ComponentResults {
        let texts: Vec<&str> = self
            .detections
            .pictures
            .iter()
            .filter_map(read_text)
            .collect();
        ComponentResults {
            instagram_extraction: self.extraction_json(),
            ai_detection: self.with(
                media::copied,
                self.detector_json(
                    self.ai,
                    &self.pictures.ai_answers,
                    |picture| &picture.ai_generated,
                    |video| &video.ai_generated,
                    ["ai_generated", "human_made"],
                    "ai_images",
                ),
            ),
            ocr: self.ocr_json(),
            deepfake: self.with(
                media::faces,
                self.detector_json(
                    self.deepfake,
                    &self.pictures.face_answers,
                    |picture| &picture.face_manipulation,
                    |video| &video.face_manipulation,
                    ["suspicious", "clean"],
                    "suspicious_images",
                ),
            ),
            fact_check: self.fact_check_json(),
            source_credibility: self.sources_json(),
            ocr_text: (!texts.is_empty()).then(|| texts.join("\n\n")),
        }
    }

    fn extraction_json(&self) -> Value {
        let tally = self.extraction();
        let media = &self.detections.content.media;
        let failures: Vec<Value> = media
            .iter()
            .filter_map(|media| {
                let reason = media.failure?;
                Some(json!({ "media_index": media.index, "kind": media.kind, "reason": reason }))
            })
            .collect();
        with_status(
            tally,
            json!({
                "adapter": self.detections.content.adapter,
                "scraped_at": self.detections.scraped_at,
                "reused": self.detections.reused,
                "media_fetched": tally.analysed,
                "media_failed": tally.failed,
                "failures": failures,
                "media": media::kept(media),
                "provenance": media::provenance(&self.detections.pictures),
                "gen_ai_label": self.detections.content.gen_ai_label,
            }),
        )
    }

    /// `answers` are those of the pictures, then those of the videos; `words` name a positive and a negative verdict; `counted` names
    /// the number of positives.
    fn detector_json(
        &self,
        tally: Tally,
        answers: &[Answer],
        in_picture: fn(&PictureDetections) -> &PictureFinding,
        in_video: fn(&VideoDetections) -> &PictureFinding,
        words: [&str; 2],
        counted: &str,
    ) -> Value {
        let word = |answer: &Answer| match answer {
            Answer::Positive(_) => Some(words[0]),
            Answer::Negative(_) => Some(words[1]),
            Answer::Inconclusive => Some("inconclusive"),
            Answer::Skipped(_) | Answer::Failed(_) => None,
        };
        let told = |answer: &Answer, finding: &PictureFinding| {
            let (status, reason) = match answer {
                Answer::Positive(_) | Answer::Negative(_) => (Status::Completed, None),
                Answer::Inconclusive => (Status::Inconclusive, None),
                Answer::Skipped(reason) => (Status::Skipped, Some(reason)),
                Answer::Failed(reason) => (Status::Failed, Some(reason)),
            };
            json!({
                "status": status,
                "reason": reason,
                "verdict": word(answer),
                "probability": finding.probability,
                "model": finding.model,
                "millis": finding.millis,
                "reused": finding.reused,
            })
        };
        let (of_pictures, of_videos) = answers.split_at(self.detections.pictures.len());
        let images = of_pictures.iter().zip(&self.detections.pictures);
        let images: Vec<Value> = images
            .map(|(answer, picture)| media::picture(told(answer, in_picture(picture)), picture))
            .collect();
        let videos = of_videos.iter().zip(&self.detections.videos);
        let videos: Vec<Value> = videos
            .map(|(answer, video)| media::video(told(answer, in_video(video)), video))
            .collect();
        let positives = answers
            .iter()
            .filter(|a| matches!(a, Answer::Positive(_)))
            .count();
        let confidence = answers
            .iter()
            .filter_map(|answer| match answer {
                Answer::Positive(p) | Answer::Negative(p) => Some(*p),
                _ => None,
            })
            .reduce(f64::max);
        let verdict = match tally.status {
            Status::Completed if positives > 0 => Some(words[0]),
            Status::Completed => Some(words[1]),
            Status::Inconclusive => Some("inconclusive"),
            Status::Skipped | Status::Failed => None,
        };
        let mut json = with_status(
            tally,
            json!({
                "verdict": verdict,
                "confidence": confidence,
                "total_images": images.len(),
                "images": images,
                "videos": videos,
            }),
        );
        json[counted] = json!(positives);
        json
    }

    /// Adds facts to what is said of each picture.
    fn with(&self, facts: fn(&PictureDetections) -> Map<String, Value>, mut told: Value) -> Value {
        let images = told["images"].as_array_mut().into_iter().flatten();
        for (image, picture) in images.zip(&self.detections.pictures) {
            if let Value::Object(image) = image {
                image.extend(facts(picture));
            }
        }
        told
    }

    fn ocr_json(&self) -> Value {
        let images: Vec<Value> = self
            .detections
            .pictures
            .iter()
            .map(|picture| {
                json!({
                    "media_index": picture.media_index,
                    "kind": picture.kind,
                    "status": picture.text.status,
                    "reason": picture.text.reason,
                    "text": read_text(picture),
                    "characters": picture.text.text.as_deref().map(|text| text.chars().count()),
                    "confidence": picture.text.confidence,
                    "model": picture.text.model,
                    "width": picture.width,
                    "height": picture.height,
                    "lines": picture.text.lines,
                })
            })
            .collect();
        with_status(self.ocr, json!({ "images": images }))
    }

    fn fact_check_json(&self) -> Value {
        let found = self.signals.map_or_else(Unread::to_json, |signals| {
            signals.to_json(self.requires_review, &self.config.text)
        });
        with_status(self.fact_check, found)
    }

    fn sources_json(&self) -> Value {
        let found = self.source_evidence.map_or(Value::Null, |evidence| {
            let basis = if evidence.rated.is_empty() {
                "account"
            } else {
                "links"
            };
            json!({
                "average_reliability": evidence.average,
                "basis": basis,
                "account_of": evidence.account,
                "sources": evidence.rated,
            })
        });
        with_status(self.sources, found)
    }
}

/// Models that had a say, `name@version`, each once.
pub(crate) fn models(detections: &Detections) -> Vec<String> {
    let had_a_say = |status| matches!(status, Status::Completed | Status::Inconclusive);
    let mut models = BTreeSet::new();
    for picture in &detections.pictures {
        for finding in [&picture.ai_generated, &picture.face_manipulation] {
            if had_a_say(finding.status) {
                models.extend(finding.model.clone());
            }
        }
        if had_a_say(picture.text.status) {
            models.extend(picture.text.model.clone());
        }
    }
    for finding in detections
        .videos
        .iter()
        .flat_map(|video| [&video.ai_generated, &video.face_manipulation])
    {
        if had_a_say(finding.status) {
            models.extend(finding.model.clone());
        }
    }
    models.into_iter().collect()
}

fn read_text(picture: &PictureDetections) -> Option<&str> {
    let text = picture.text.text.as_deref()?;
    (picture.text.status == Status::Completed && !text.trim().is_empty()).then_some(text)
}

fn with_status(tally: Tally, found: Value) -> Value {
    let mut object = Map::new();
    object.insert("status".to_owned(), json!(tally.status));
    if let Some(reason) = tally.reason {
        object.insert("reason".to_owned(), json!(reason));
    }
    if let Value::Object(found) = found {
        object.extend(found);
    }
    Value::Object(object)
}
