//! The size of what a session remembers of its turns, and what goes when it is too much.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::turns::{Turn, Turns};

/// The size of what is remembered of a turn, in bytes.
pub(super) fn of(turn: &Turn) -> usize {
    let records: usize = turn.records.iter().map(|record| record.bytes()).sum();
    of_texts(turn) + records
}

/// The same without its records.
pub(super) fn of_texts(turn: &Turn) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    text(&turn.reply) + text(&turn.error) + of_detail(turn)
}

/// The size of a detail; one that is not there has none.
fn of_detail(turn: &Turn) -> usize {
    match turn.detail.get() {
        "null" => 0,
        detail => detail.len(),
    }
}

/// Lets go of what is missed least: ended turns that are not watched, then arguments and answers of the oldest calls, then
/// details, the oldest records, and texts. Returns whether there was anything.
pub(super) fn lighten(all: &mut Turns) -> bool {
    forget_a_turn(all)
        || strip_a_record(all)
        || drop_a_detail(all)
        || drop_records(all)
        || drop_texts(all)
}

fn forget_a_turn(all: &mut Turns) -> bool {
    let watched = all.watched();
    let newest = all.turns.len().saturating_sub(1);
    let mut older = all.turns.iter().take(newest);
    let oldest = older.position(|(_, turn)| turn.ended.is_some_and(|end| end < watched));
    if let Some(at) = oldest {
        all.forget_turn(at);
    }
    oldest.is_some()
}

fn strip_a_record(all: &mut Turns) -> bool {
    for (_, turn) in &mut all.turns {
        while let Some(record) = turn.records.get_mut(turn.stripped) {
            turn.stripped += 1;
            let stripped = record.stripped();
            let (before, after) = (record.bytes(), stripped.bytes());
            if after < before && !record.is_stripped() {
                *record = Arc::new(stripped);
                all.bytes -= before - after;
                all.stripped += 1;
                return true;
            }
        }
    }
    false
}

fn drop_a_detail(all: &mut Turns) -> bool {
    let mut turns = all.turns.iter_mut().map(|(_, turn)| turn);
    let Some(turn) = turns.find(|turn| of_detail(turn) > 0) else {
        return false;
    };
    all.bytes -= of_detail(turn);
    turn.detail = RawValue::NULL.to_owned().into();
    true
}

/// Drops the older half of the oldest turn's records, so that many are not dropped one by one.
fn drop_records(all: &mut Turns) -> bool {
    let mut turns = all.turns.iter_mut().map(|(_, turn)| turn);
    let Some(turn) = turns.find(|turn| !turn.records.is_empty()) else {
        return false;
    };
    let half = turn.records.len().div_ceil(2);
    let dropped: usize = turn
        .records
        .drain(..half)
        .map(|record| record.bytes())
        .sum();
    turn.stripped = turn.stripped.saturating_sub(half);
    all.bytes -= dropped;
    true
}

fn drop_texts(all: &mut Turns) -> bool {
    let mut turns = all.turns.iter_mut().map(|(_, turn)| turn);
    let Some(turn) = turns.find(|turn| turn.reply.is_some() || turn.error.is_some()) else {
        return false;
    };
    let before = of_texts(turn);
    (turn.reply, turn.error) = (None, None);
    all.bytes = all.bytes + of_texts(turn) - before;
    true
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::dispatch::{Limits, broken_off};
    use crate::runtime::{Event, TurnStatus};
    use crate::skill::ToolCall;

    fn turns(remembered_bytes: usize) -> Turns {
        Turns::new(&Limits {
            remembered_bytes,
            ..Limits::default()
        })
    }

    fn answered(turns: &mut Turns, turn: &str, arrival: u64, bytes: usize) {
        let arguments = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes)));
        let arguments = arguments.unwrap_or_else(|_| RawValue::NULL.to_owned());
        let mut call = ToolCall::new("s".into(), "tool".into(), arguments);
        call.turn_id = Some(turn.into());
        call.call_id = Some(arrival.to_string().into());
        let record = broken_off(&Arc::new(call), arrival);
        turns.on_record(&Arc::new(record), true);
    }

    fn ended(turns: &mut Turns, turn: &str) {
        turns.on_event(
            &Event::TurnCompleted {
                turn_id: turn.into(),
                status: TurnStatus::Completed,
                error: None,
                detail: RawValue::NULL.to_owned().into(),
            },
            Instant::now(),
        );
    }

    /// What is counted is what is there.
    fn check(turns: &Turns) {
        let all: usize = turns.turns.iter().map(|(_, turn)| of(turn)).sum();
        assert_eq!(all, turns.bytes);
    }

    #[test]
    fn the_oldest_records_of_a_running_turn_lose_their_arguments_and_stay() {
        let mut turns = self::turns(50_000);
        for arrival in 0..20 {
            answered(&mut turns, "t", arrival, 10_000);
            check(&turns);
        }
        let records = &turns
            .get("t")
            .map(|turn| turn.records.clone())
            .unwrap_or_default();
        let stripped: Vec<bool> = records.iter().map(|record| record.is_stripped()).collect();
        assert_eq!(stripped.len(), 20);
        assert!(stripped[0] && !stripped[19] && stripped.is_sorted_by(|a, b| a >= b));
        assert!(turns.bytes <= 50_000);
    }

    #[test]
    fn any_number_of_calls_stays_within_the_bytes() {
        let mut turns = self::turns(50_000);
        for arrival in 0..2_000 {
            answered(&mut turns, "t", arrival, 1);
            check(&turns);
            assert!(turns.bytes <= 50_000);
        }
        let newest = turns.get("t").and_then(|turn| turn.records.last().cloned());
        assert_eq!(newest.map(|record| record.arrival), Some(1_999));
    }

    #[test]
    fn ended_turns_go_first_and_those_that_somebody_waits_for_stay() {
        let mut turns = self::turns(25_000);
        let since = turns.watch();
        for turn in ["1", "2", "3"] {
            answered(&mut turns, turn, 0, 10_000);
            ended(&mut turns, turn);
        }
        assert!(turns.get("1").is_some(), "it is waited for");
        turns.unwatch(since);
        for turn in ["4", "5"] {
            answered(&mut turns, turn, 0, 10_000);
            ended(&mut turns, turn);
            check(&turns);
        }
        assert!(turns.get("1").is_none() && turns.get("5").is_some());
        let newest = turns.get("5").map(|turn| turn.records[0].is_stripped());
        assert_eq!(newest, Some(false));
    }

    #[test]
    fn one_that_is_larger_than_everything_is_not_kept() {
        let mut turns = self::turns(1_000);
        answered(&mut turns, "t", 0, 10_000);
        turns.on_event(
            &Event::Message {
                turn_id: "t".into(),
                text: "x".repeat(10_000),
            },
            Instant::now(),
        );
        check(&turns);
        assert!(turns.bytes <= 1_000);
        let mut nothing = self::turns(0);
        answered(&mut nothing, "t", 0, 10);
        ended(&mut nothing, "t");
        assert!(nothing.get("t").is_some_and(Turn::has_ended));
    }
}
