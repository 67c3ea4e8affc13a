//! A shared rate: turns are a step apart whoever takes them, and who is sent away comes back to a turn.

use std::time::Duration;

use stentor_queue::Turn;

use crate::support::Fixture;

#[tokio::test]
async fn turns_of_all_callers_are_a_step_apart() {
    let f = Fixture::new().await;
    let began = f.now().await;
    let mut times = Vec::new();
    let takes = (0..20).map(|_| {
        let queue = f.queue.clone();
        tokio::spawn(async move { queue.take_turn("gw", 40.0).await.unwrap() })
    });
    for take in takes.collect::<Vec<_>>() {
        let Turn::After(wait) = take.await.unwrap() else { panic!("a turn is less than a second away") };
        times.push(wait);
    }
    times.sort();
    let spent = Duration::from_millis(u64::try_from(f.now().await - began).unwrap());
    // Measured from each call's own time: the last is at most what was spent nearer than 19 steps.
    assert!(*times.last().unwrap() <= Duration::from_millis(25 * 19));
    assert!(*times.last().unwrap() + spent + Duration::from_millis(2) >= Duration::from_millis(25 * 19), "{times:?}");
    assert!(matches!(f.queue.take_turn("other", 1.0).await.unwrap(), Turn::After(w) if w.is_zero()), "each has its own rate");
    f.command::<()>("CONFIG SET maxmemory 1").await;
    let turn = f.queue.take_turn("third", 1.0).await;
    assert!(matches!(turn, Ok(Turn::After(w)) if w.is_zero()), "a full Redis would never become empty again: {turn:?}");
}

#[tokio::test]
async fn who_is_sent_away_is_told_a_time_of_its_own() {
    let f = Fixture::new().await;
    let mut tries = 0;
    // What is told counts from when it was asked: where this process stood still between two of the twelve, all are asked anew.
    let (what, waits) = loop {
        tries += 1;
        assert!(tries <= 100, "twelve are never asked at nearly one time");
        let (what, began, mut waits) = (format!("gw{tries}"), f.now().await, Vec::new());
        for _ in 0..12 {
            waits.push(match f.queue.take_turn(&what, 2.0).await.unwrap() {
                Turn::After(wait) => (true, wait.as_millis()),
                Turn::ComeBack(wait) => (false, wait.as_millis()),
            });
        }
        if f.now().await - began < 150 {
            break (what, waits);
        }
    };
    let now = waits.iter().filter(|(go, _)| *go).count();
    assert_eq!(now, 3, "at once, after half a second, after one: {waits:?}");
    let later: Vec<_> = waits.iter().filter(|(go, _)| !go).map(|(_, wait)| *wait).collect();
    assert!(later.windows(2).all(|w| w[1] - w[0] > 300), "half a second apart: {later:?}");
    let ttl: u128 = f.command(&format!("PTTL @pace:{what}")).await;
    assert!(ttl > *later.last().unwrap(), "what was promised is remembered until then");
}
