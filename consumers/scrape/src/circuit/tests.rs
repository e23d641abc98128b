use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn config() -> CircuitConfig {
    CircuitConfig {
        failures: 3,
        pause_s: 10,
        max_pause_s: 35,
    }
}

fn circuit() -> (Circuit, Instant) {
    (Circuit::new(&config()), Instant::now())
}

fn fail(circuit: &mut Circuit, posts: &[&str], now: Instant) {
    for post in posts {
        let epoch = circuit.admit(now).unwrap();
        circuit.failed(epoch, Some(post), now);
    }
}

#[test]
fn a_run_of_different_posts_opens_it_and_a_good_answer_ends_the_run() {
    let (mut circuit, now) = circuit();
    fail(&mut circuit, &["a", "b"], now);
    let epoch = circuit.admit(now).unwrap();
    circuit.succeeded(epoch);
    fail(&mut circuit, &["c", "d"], now);
    assert_eq!(circuit.phase(), Phase::Closed);
    fail(&mut circuit, &["e"], now);
    assert_eq!(circuit.phase(), Phase::Open);
}

#[test]
fn one_post_that_always_fails_does_not_open_it() {
    let (mut circuit, now) = circuit();
    fail(&mut circuit, &["a"; 100], now);
    assert_eq!(circuit.phase(), Phase::Closed);
}

#[test]
fn failures_that_are_the_sites_own_open_it_whatever_the_post() {
    let (mut circuit, now) = circuit();
    fail(&mut circuit, &["a", "a"], now);
    for phase in [Phase::Closed, Phase::Open] {
        let epoch = circuit.admit(now).unwrap();
        circuit.failed(epoch, None, now);
        assert_eq!(circuit.phase(), phase);
    }
}

#[test]
fn open_it_admits_nobody_until_the_pause_is_over_and_then_one() {
    let (mut circuit, now) = circuit();
    fail(&mut circuit, &["a", "b", "c"], now);
    assert_eq!(circuit.admit(now + SECOND * 9), None);
    assert!(circuit.admit(now + SECOND * 10).is_some());
    assert_eq!(circuit.phase(), Phase::HalfOpen);
    assert_eq!(circuit.admit(now + SECOND * 11), None);
}

#[test]
fn pauses_double_up_to_the_longest_and_begin_anew_once_it_was_closed() {
    let (mut circuit, mut now) = circuit();
    fail(&mut circuit, &["a", "b", "c"], now);
    for pause in [10, 20, 35, 35] {
        assert_eq!(circuit.admit(now + SECOND * (pause - 1)), None, "{pause}");
        now += SECOND * pause;
        fail(&mut circuit, &["p"], now);
        assert_eq!(circuit.phase(), Phase::Open);
    }
    now += SECOND * 35;
    let probe = circuit.admit(now).unwrap();
    circuit.succeeded(probe);
    assert_eq!(circuit.phase(), Phase::Closed);
    fail(&mut circuit, &["a", "b", "c"], now);
    assert!(circuit.admit(now + SECOND * 10).is_some());
}

#[test]
fn answers_to_requests_made_before_it_changed_count_for_nothing() {
    let (mut circuit, now) = circuit();
    let early = circuit.admit(now).unwrap();
    fail(&mut circuit, &["a", "b", "c"], now);
    circuit.succeeded(early);
    circuit.failed(early, Some("d"), now + SECOND * 5);
    assert_eq!(circuit.phase(), Phase::Open);
    let probe = circuit.admit(now + SECOND * 10).unwrap();
    circuit.failed(early, Some("d"), now + SECOND * 10);
    circuit.succeeded(early);
    assert_eq!(circuit.phase(), Phase::HalfOpen);
    circuit.succeeded(probe);
    assert_eq!(circuit.phase(), Phase::Closed);
}

fn breaker() -> Breaker {
    Breaker::new(&config(), IntGauge::new("circuit", "circuit").unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_gate_follows_even_when_nobody_asks() {
    let breaker = breaker();
    let mut gate = breaker.gate();
    assert_eq!(gate.state(), GateState::Open);
    for post in ["a", "b", "c"] {
        breaker.admit().unwrap().failed(Some(post));
    }
    assert_eq!(gate.state(), GateState::Closed);
    assert_eq!(breaker.0.gauge.get(), 2);
    gate.changed().await;
    let start = Instant::now();
    gate.changed().await;
    assert_eq!(gate.state(), GateState::Probe);
    assert!(start.elapsed() >= SECOND * 10);
    let probe = breaker.admit().unwrap();
    assert!(breaker.admit().is_none());
    probe.succeeded();
    assert_eq!(gate.state(), GateState::Open);
    assert_eq!(breaker.0.gauge.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn leave_given_before_it_opened_stands_no_more() {
    let breaker = breaker();
    let (early, fine) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    fine.succeeded();
    assert!(early.stands());
    for _ in 0..3 {
        breaker.admit().unwrap().failed(None);
    }
    assert!(!early.stands());
    tokio::time::advance(SECOND * 10).await;
    let probe = breaker.admit().unwrap();
    assert!(probe.stands() && !early.stands());
    probe.succeeded();
    assert!(!early.stands());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_given_up_leaves_its_place_to_another() {
    let breaker = breaker();
    for post in ["a", "b", "c"] {
        breaker.admit().unwrap().failed(Some(post));
    }
    tokio::time::advance(SECOND * 10).await;
    drop(breaker.admit().unwrap());
    assert_eq!(breaker.name(), "half_open");
    assert!(breaker.admit().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_lets_one_by_and_an_open_circuit_still_none() {
    let breaker = breaker();
    let gate = breaker.gate();
    breaker.store_answers(false);
    assert_eq!(gate.state(), GateState::Probe);
    assert_eq!((breaker.name(), breaker.0.gauge.get()), ("closed", 0));
    // What the circuit learns meanwhile does not open the gate.
    breaker.admit().unwrap().succeeded();
    assert_eq!(gate.state(), GateState::Probe);
    for _ in 0..3 {
        breaker.admit().unwrap().failed(None);
    }
    assert_eq!(gate.state(), GateState::Closed);
    breaker.store_answers(true);
    assert_eq!(gate.state(), GateState::Closed);
    tokio::time::advance(SECOND * 10).await;
    breaker.admit().unwrap().succeeded();
    assert_eq!(gate.state(), GateState::Open);
}
