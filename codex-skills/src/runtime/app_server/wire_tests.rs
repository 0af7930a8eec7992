use serde_json::json;

use super::*;

/// What codex said in a recorded exchange, as it said it.
fn recorded(trace: &str) -> Vec<String> {
    let lines = trace.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line of a trace");
        line
    });
    let from_codex = lines.filter(|line| line["dir"] == "server->client");
    from_codex.map(|line| line["msg"].to_string()).collect()
}

/// The notices of a recorded exchange in short.
fn notices(trace: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for line in recorded(trace) {
        match message(line.as_bytes()).expect("it is read") {
            Message::Notification { method, params } => {
                match notice(&method, params).expect("it is read") {
                    Some(Notice::Warning { .. }) | None => {}
                    Some(notice) => {
                        let shown = format!("{notice:?}");
                        let name = shown.split([' ', '{']).next().unwrap_or_default();
                        seen.push(name.to_owned());
                    }
                }
            }
            Message::Request { method, params, id } => {
                assert_eq!(method, "item/tool/call");
                let call = call(id, params, 1, &mut Texts::default()).expect("it is read");
                assert!(call.turn_id.is_some() && call.call_id.is_some());
                seen.push("call".to_owned());
            }
            Message::Response { .. } => {}
            Message::Other => unreachable!("codex says nothing that is not understood: {line}"),
        }
    }
    seen.dedup();
    seen
}

#[test]
fn a_recorded_turn_is_understood() {
    let seen = notices(include_str!(
        "../../../../tests/fixtures/app-server-turn-one-call.jsonl"
    ));
    assert_eq!(
        seen,
        [
            "TurnStarted",
            "ToolStarted",
            "call",
            "ToolCompleted",
            "Usage",
            "Delta",
            "Message",
            "Usage",
            "TurnCompleted"
        ]
    );
}

#[test]
fn a_recorded_turn_of_an_old_codex_is_understood() {
    let seen = notices(include_str!(
        "../../../../tests/fixtures/app-server-0.105-turn-one-call.jsonl"
    ));
    assert_eq!(
        seen,
        [
            "TurnStarted",
            "call",
            "Usage",
            "Delta",
            "Message",
            "Usage",
            "TurnCompleted"
        ]
    );
}

#[test]
fn what_happens_to_calls_without_answers_is_understood() {
    let interrupted = notices(include_str!(
        "../../../../tests/fixtures/app-server-interrupt.jsonl"
    ));
    let at = interrupted
        .iter()
        .position(|seen| seen == "call")
        .expect("a call");
    assert_eq!(interrupted[at + 1], "ToolCompleted");
    assert!(interrupted[at + 2..].contains(&"TurnCompleted".to_owned()));
    let deleted = notices(include_str!(
        "../../../../tests/fixtures/app-server-delete-with-pending-call.jsonl"
    ));
    assert!(deleted.contains(&"Gone".to_owned()), "{deleted:?}");
    let replayed = notices(include_str!(
        "../../../../tests/fixtures/app-server-replay-after-reconnect.jsonl"
    ));
    assert_eq!(replayed[..2], ["Usage", "call"]);
}

#[test]
fn everything_that_was_recorded_is_understood() {
    for trace in [
        include_str!("../../../../tests/fixtures/app-server-parallel-calls.jsonl"),
        include_str!("../../../../tests/fixtures/app-server-two-threads.jsonl"),
        include_str!("../../../../tests/fixtures/app-server-ws-turn.jsonl"),
        include_str!("../../../../tests/fixtures/app-server-resume-after-kill.jsonl"),
    ] {
        let seen = notices(trace);
        assert!(seen.contains(&"call".to_owned()), "{seen:?}");
    }
}

#[test]
fn the_id_of_a_request_is_echoed_as_it_came() {
    for id in ["0", "\"34\"", "9007199254740993", "-1", "\"a b\""] {
        let line = format!("{{\"method\":\"item/tool/call\",\"id\":{id},\"params\":{{}}}}");
        let Message::Request { id: read, .. } = message(line.as_bytes()).expect("it is read")
        else {
            unreachable!()
        };
        let answer = answer(&read, &SkillOutput::text("x")).expect("it is written");
        let begins = format!("{{\"id\":{id},\"result\":{{");
        assert!(String::from_utf8_lossy(&answer).starts_with(&begins));
    }
}

#[test]
fn answers_have_the_members_that_codex_wants_and_no_others() {
    let written = answer(&7.into(), &SkillOutput::failure("no")).expect("it is written");
    let written: Value = serde_json::from_slice(&written).expect("it is JSON");
    assert_eq!(
        written,
        json!({"id": 7, "result": {
            "contentItems": [{"type": "inputText", "text": "no"}],
            "success": false,
        }})
    );
}

#[test]
fn numbers_depth_and_odd_texts_in_arguments_cost_nothing() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for arguments in [
        "1e400",
        "123456789012345678901234567890",
        "{\"a\":1,\"a\":2}",
        "\"\\ud800\"",
        "null",
        &deep,
    ] {
        let line = format!(
            "{{\"method\":\"item\\/tool\\/call\",\"id\":3,\"emittedAtMs\":1,\"params\":{{\"threadId\":\"t\",\
             \"turnId\":\"u\",\"callId\":\"c\",\"namespace\":\"\",\"tool\":\"x\",\"new\":{{}},\
             \"arguments\":{arguments}}}}}"
        );
        let Message::Request { id, params, method } = message(line.as_bytes()).expect("it is read")
        else {
            unreachable!()
        };
        assert_eq!(method, "item/tool/call");
        let call = call(id, params, 4, &mut Texts::default()).expect("it is read");
        assert_eq!(call.arguments.get(), arguments);
        assert_eq!((call.namespace(), call.generation), (None, 4));
    }
}

#[test]
fn a_call_without_arguments_has_null() {
    let params = RawValue::from_string("{\"threadId\":\"t\",\"tool\":\"x\"}".into()).expect("JSON");
    let call = call(1.into(), &params, 1, &mut Texts::default()).expect("it is read");
    assert_eq!(call.arguments.get(), "null");
    assert!(call.turn_id.is_none() && call.call_id.is_none());
}

#[test]
fn a_call_that_cannot_be_read_still_says_whose_it_is() {
    let params = RawValue::from_string("{\"threadId\":\"t\",\"tool\":7}".into()).expect("JSON");
    assert!(call(1.into(), &params, 1, &mut Texts::default()).is_err());
    assert_eq!(thread_of(&params).as_deref(), Some("t"));
}

#[test]
fn answers_to_requests_are_results_errors_or_nothing() {
    let read = |line: &str| match message(line.as_bytes()).expect("it is read") {
        Message::Response { id, outcome } => {
            Some((id, outcome.map(|result| result.get().to_owned())))
        }
        _ => None,
    };
    assert_eq!(
        read("{\"id\":1,\"result\":null}"),
        Some((1, Ok("null".to_owned())))
    );
    let refused = RpcError {
        code: -32001,
        message: "Server overloaded; retry later.".to_owned(),
    };
    assert_eq!(
        read(
            "{\"id\":2,\"error\":{\"code\":-32001,\"message\":\"Server overloaded; retry later.\",\"data\":1}}"
        ),
        Some((2, Err(refused)))
    );
    for nothing in [
        "{}",
        "{\"id\":1}",
        "{\"id\":\"1\",\"result\":{}}",
        "{\"jsonrpc\":\"2.0\"}",
    ] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
}

#[test]
fn lines_that_are_no_messages_are_errors_and_no_panics() {
    assert!(matches!(message(b"[]"), Ok(Message::Other)));
    for line in ["", "{", "null", "\"x\"", "{\"id\":}", "\u{0}"] {
        assert!(message(line.as_bytes()).is_err(), "{line}");
    }
    assert!(message(b"{\"method\":\"\xff\"}").is_err());
}

#[test]
fn a_notification_that_is_not_as_it_should_be_costs_itself() {
    let params = RawValue::from_string("{\"threadId\":7}".into()).expect("JSON");
    for method in [
        "turn/started",
        "turn/completed",
        "item/completed",
        "thread/deleted",
    ] {
        assert!(notice(method, &params).is_err(), "{method}");
    }
    assert!(notice("codex/event/whatever", &params).is_ok_and(|notice| notice.is_none()));
}

#[test]
fn the_children_of_a_thread_are_read_from_the_tool_that_made_them() {
    let params = json!({"threadId": "t", "turnId": "u", "item": {
        "type": "collabAgentToolCall", "id": "c", "tool": "spawnAgent", "status": "completed",
        "senderThreadId": "t", "receiverThreadIds": ["child"], "prompt": null, "agentsStates": {},
    }});
    let params = RawValue::from_string(params.to_string()).expect("JSON");
    let read = notice("item/completed", &params).expect("it is read");
    let Some(Notice::Children {
        parent_id,
        thread_ids,
    }) = read
    else {
        unreachable!("{read:?}")
    };
    assert_eq!((&*parent_id, thread_ids.len()), ("t", 1));
}

#[test]
fn the_reply_of_a_turn_is_the_last_message_in_it() {
    let turn = json!({"id": "t", "items": [
        {"type": "agentMessage", "text": "first"},
        {"type": "agentMessage", "text": "last"},
        {"type": "reasoning"},
    ]});
    let end = |turn: &Value| {
        let raw = serde_json::value::to_raw_value(turn).expect("JSON");
        turn_end(&raw).expect("it is read")
    };
    assert_eq!(end(&turn).reply.as_deref(), Some("last"));
    assert_eq!(end(&json!({"id": "t"})).reply, None);
}

#[test]
fn ids_that_are_too_long_spoil_their_message_only() {
    let long = "x".repeat(ID_BYTES + 1);
    for member in ["threadId", "turnId", "callId", "namespace", "tool"] {
        let mut params = json!({"threadId": "t", "turnId": "u", "callId": "c", "tool": "tool"});
        params[member] = long.as_str().into();
        let line = json!({"method": "item/tool/call", "id": 1, "params": params}).to_string();
        let texts = &mut Texts::default();
        assert!(whole_call(line.as_bytes(), 1, texts).is_none());
        let Ok(Message::Request { id, params, .. }) = message(line.as_bytes()) else {
            unreachable!("{member}")
        };
        assert!(call(id, params, 1, texts).is_err(), "{member}");
    }
    let line = format!(r#"{{"method":"item/tool/call","id":"{long}","params":{{}}}}"#);
    assert!(matches!(message(line.as_bytes()), Ok(Message::Other)));
}

#[test]
fn a_detail_that_is_too_large_is_left_out_and_the_rest_is_read() {
    let items = "0,".repeat(crate::runtime::DETAIL_BYTES / 2);
    let said = r#"{"type":"agentMessage","text":"done"}"#;
    let turn = format!(r#"{{"id":"t","status":"completed","items":[{items}{said}]}}"#);
    let end = turn_end(&RawValue::from_string(turn).expect("JSON")).expect("it is read");
    assert_eq!(
        (end.reply.as_deref(), end.detail.get()),
        (Some("done"), "null")
    );
    assert_eq!(end.status, TurnStatus::Completed);
}
