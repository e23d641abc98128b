//! A score on paper: every adjustment with its working, the sum, the clamp, the grade.

use std::fmt::Write as _;

use schemas::AnalysisResult;
use schemas::events::result::{Adjustment, Breakdown};
use serde_json::{Value, json};

use crate::show::{numbers, table};

/// Where every score starts.
const START: f64 = 100.0;

/// Start and all adjustments, before the clamp.
fn sum(breakdown: &Breakdown) -> f64 {
    START + breakdown.total_penalties + breakdown.total_bonuses
}

fn working(adjustment: &Adjustment) -> &str {
    adjustment.metadata["working"].as_str().unwrap_or("-")
}

fn points(points: f64) -> String {
    format!("{points:+.2}")
}

fn verdict(result: &AnalysisResult) -> String {
    match (result.trust_score, &result.grade) {
        (Some(score), Some(grade)) => format!("{score:.2}, grade {grade}"),
        _ => "no score".to_owned(),
    }
}

fn version(result: &AnalysisResult) -> &str {
    result.scoring_version.as_deref().unwrap_or("-")
}

/// The whole calculation as text.
pub fn calculation(result: &AnalysisResult) -> String {
    let mut paper = format!(
        "{} of {}: {}\nrules {}, completed {}",
        result.analysis_id,
        result.post.url,
        verdict(result),
        version(result),
        result.completed_at
    );
    if let Some(error) = &result.error {
        let _ = write!(paper, "\n{}: {}", error.code, error.message);
    }
    if let Some(breakdown) = &result.trust_score_breakdown {
        let _ = write!(paper, "\n\n{}", of_score(breakdown));
    }
    if let Some(text) = of_text(result) {
        let _ = write!(paper, "\n\n{text}");
    }
    let unchecked: Vec<String> = result
        .coverage
        .iter()
        .filter_map(|entry| Some((entry, entry.reason?)))
        .map(|(entry, reason)| format!("{} ({reason})", entry.component))
        .collect();
    if !unchecked.is_empty() {
        let _ = write!(
            paper,
            "\n\nNot checked, and so without points: {}.",
            unchecked.join(", ")
        );
    }
    paper
}

fn of_score(breakdown: &Breakdown) -> String {
    let mut rows = table(&["component", "what", "points", "working", "because"]);
    numbers(&mut rows, &[2]);
    let line = |what: &str, points: String, working: &str| {
        [
            String::new(),
            what.to_owned(),
            points,
            working.to_owned(),
            String::new(),
        ]
    };
    rows.add_row(line("start", format!("{START:.2}"), ""));
    for one in &breakdown.adjustments {
        rows.add_row([
            one.component.clone(),
            one.category.clone(),
            points(one.impact),
            working(one).to_owned(),
            one.reason.clone(),
        ]);
    }
    rows.add_row(line("sum", format!("{:.2}", sum(breakdown)), ""));
    let grade = format!("not below 0, not above 100; grade {}", breakdown.grade);
    rows.add_row(line(
        "score",
        format!("{:.2}", breakdown.final_score),
        &grade,
    ));
    rows.to_string()
}

/// How the credibility of the text came about.
fn of_text(result: &AnalysisResult) -> Option<String> {
    let check = &result.analysis_results.as_ref()?.fact_check;
    let (start, credibility) = (
        check["calculation"]["start"].as_f64()?,
        check["credibility_score"].as_f64()?,
    );
    let mut rows = table(&["credibility of the text", "points", "working"]);
    numbers(&mut rows, &[1]);
    rows.add_row(["start".to_owned(), format!("{start:.2}"), String::new()]);
    for step in check["calculation"]["steps"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = |key: &str| step[key].as_str().unwrap_or("-").to_owned();
        rows.add_row([
            text("reason"),
            points(step["points"].as_f64()?),
            text("working"),
        ]);
    }
    let bounds = "not below 0, not above 100, one decimal";
    rows.add_row([
        "credibility".to_owned(),
        format!("{credibility:.1}"),
        bounds.to_owned(),
    ]);
    Some(rows.to_string())
}

fn impact(result: &AnalysisResult, of: (&str, &str)) -> Option<f64> {
    let all = &result.trust_score_breakdown.as_ref()?.adjustments;
    let one = all
        .iter()
        .find(|one| (one.component.as_str(), one.category.as_str()) == of)?;
    Some(one.impact)
}

/// Component and category of every adjustment of either, in their order.
fn lines<'a>(now: &'a AnalysisResult, then: &'a AnalysisResult) -> Vec<(&'a str, &'a str)> {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for breakdown in [now, then]
        .into_iter()
        .filter_map(|result| result.trust_score_breakdown.as_ref())
    {
        for one in &breakdown.adjustments {
            let line = (one.component.as_str(), one.category.as_str());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// A result beside the same scored by other weights.
pub fn what_if(now: &AnalysisResult, then: &AnalysisResult) -> String {
    let mut rows = table(&[
        "what",
        &format!("rules {}", version(now)),
        &format!("rules {}", version(then)),
    ]);
    numbers(&mut rows, &[1, 2]);
    let shown = |impact: Option<f64>| impact.map_or_else(|| "-".to_owned(), points);
    for line in lines(now, then) {
        rows.add_row([
            line.1.to_owned(),
            shown(impact(now, line)),
            shown(impact(then, line)),
        ]);
    }
    rows.add_row(["score".to_owned(), verdict(now), verdict(then)]);
    format!("With other weights:\n{rows}")
}

/// Both as one JSON document.
pub fn document(now: &AnalysisResult, then: Option<&AnalysisResult>) -> Value {
    let mut document = of_result(now);
    document["analysis_id"] = json!(now.analysis_id);
    document["post"] = json!(now.post);
    document["run"] = json!(now.run);
    document["coverage"] = json!(now.coverage);
    document["what_if"] = then.map_or(Value::Null, |then| {
        let mut other = of_result(then);
        let change = then
            .trust_score
            .zip(now.trust_score)
            .map(|(then, now)| then - now);
        other["change"] = json!(change.map(|change| (change * 100.0).round() / 100.0));
        other
    });
    document
}

fn of_result(result: &AnalysisResult) -> Value {
    let breakdown = result.trust_score_breakdown.as_ref();
    let check = result
        .analysis_results
        .as_ref()
        .map(|found| &found.fact_check);
    json!({
        "scoring_version": result.scoring_version,
        "trust_score": result.trust_score,
        "grade": result.grade,
        "error": result.error,
        "start": START,
        "adjustments": breakdown.map(|breakdown| &breakdown.adjustments),
        "sum": breakdown.map(|breakdown| (sum(breakdown) * 100.0).round() / 100.0),
        "credibility": check.map(|check| json!({
            "score": check["credibility_score"],
            "start": check["calculation"]["start"],
            "steps": check["calculation"]["steps"],
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(score: f64, adjustments: &Value) -> AnalysisResult {
        let fixture = include_str!("../../../../schemas/fixtures/analysis-finished.v1.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        let mut value = fixture["value"].clone();
        value["trust_score"] = json!(score);
        value["trust_score_breakdown"]["final_score"] = json!(score);
        value["trust_score_breakdown"]["adjustments"] = adjustments.clone();
        value["trust_score_breakdown"]["total_penalties"] = json!(-12.0);
        value["trust_score_breakdown"]["total_bonuses"] = json!(1.0);
        value["analysis_results"]["fact_check"] = json!({
            "credibility_score": 35.0,
            "calculation": { "start": 70.0, "steps": [{ "reason": "red flags", "points": -30.0, "working": "7 x 5, at most 30" }] },
        });
        serde_json::from_value(value).unwrap()
    }

    fn adjustment(category: &str, impact: f64, working: &str) -> Value {
        json!({ "component": "Fact-Checking", "category": category, "impact": impact, "reason": "So it is.",
            "metadata": { "working": working } })
    }

    #[test]
    fn every_line_of_the_calculation_is_on_the_paper() {
        let low = adjustment("Low Credibility", -12.0, "-(50 - 35) x 0.8");
        let good = adjustment("High Source Reliability", 1.0, "(0.8 - 0.7) x 10");
        let now = result(89.0, &json!([low, good]));
        let paper = calculation(&now);
        for word in [
            "100.00",
            "-12.00",
            "-(50 - 35) x 0.8",
            "+1.00",
            "89.00",
            "7 x 5, at most 30",
            "-30.00",
            "35.0",
            "So it is.",
        ] {
            assert!(paper.contains(word), "{word} is not in\n{paper}");
        }
        let then = result(
            95.0,
            &json!([adjustment("Low Credibility", -6.0, "-(50 - 35) x 0.4")]),
        );
        let shown = what_if(&now, &then);
        for word in ["-12.00", "-6.00", "+1.00", "89.00", "95.00"] {
            assert!(shown.contains(word), "{word} is not in\n{shown}");
        }
        let document = document(&now, Some(&then));
        assert_eq!(
            (&document["sum"], &document["what_if"]["change"]),
            (&json!(89.0), &json!(6.0))
        );
        assert_eq!(
            document["adjustments"][0]["metadata"]["working"],
            "-(50 - 35) x 0.8"
        );
        assert_eq!(document["credibility"]["steps"][0]["points"], -30.0);
    }
}
