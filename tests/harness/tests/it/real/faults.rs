//! The fault table at a small size; `make faults` runs it at full size.

use std::future::Future;

use trustcard_tests::faults::{
    Report, Size, letters, rescore, row01, row02, row03, row04, row05, row06, row08, row09, row10,
    row11, row12,
};

const SMALL: Size = Size::small();

async fn passes(row: impl Future<Output = Report>) {
    let report = row.await;
    assert!(
        report.passes(),
        "row {}: {:?}\n{:?}",
        report.row,
        report.problems,
        report.figures
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_stages_lose_and_repeat_nothing() {
    passes(row01::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_told_to_end_drains_and_leaves_nothing_to_redo() {
    passes(row02::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_join_and_leave_a_cooperative_group() {
    passes(row03::run(&SMALL, row03::Protocol::Cooperative)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_late_answer_to_the_end_of_a_transaction_tears_nothing() {
    passes(row04::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_with_one_name_the_older_is_fenced() {
    passes(row05::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_back_loses_nothing_accepted() {
    passes(row06::outage(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_becomes_dead_letters_byte_for_byte() {
    passes(row08::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_can_read_nothing_stops_itself_until_released() {
    passes(row09::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_waits_for_its_dead_letter() {
    passes(row10::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_trouble_loses_nothing_and_is_not_overrun() {
    passes(row11::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_input_again_changes_no_row() {
    passes(row12::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_sent_back_end_once_even_if_the_command_is_killed() {
    passes(letters::run(&SMALL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detections_scored_again_have_one_result_more_each_time() {
    passes(rescore::run(&SMALL)).await;
}
