//! An edit changes its field and nothing else.

use e2e::case::{Case, judge};
use serde_json::json;

const CLAMPED: &str = "clamp; field=ackTimeout; from=0; to=10000";
const INJECTED: &str = "inject; field=deadLetterTopic; from=absent; to=orders.dlq";

fn all_bytes_around_an_edit_survive() -> Vec<Case> {
    let bodies = [
        (
            "whitespace",
            "\r\n\t { \"topic\" :\"orders\",\n  \"deadLetterTopic\"\t: \"d\" , \"ackTimeout\" :\n ",
            " } \n\n",
        ),
        ("key-order", r#"{"z":1,"ackTimeout":"#, r#","a":2,"topic":"orders","m":3,"deadLetterTopic":"d"}"#),
        (
            "numbers",
            r#"{"a":1.0,"b":1e0,"c":-0,"d":1E+02,"e":0.10,"f":123456789012345678901234567890,"ackTimeout":"#,
            r#","topic":"orders","deadLetterTopic":"d","g":-1.50e-7}"#,
        ),
        (
            "strings",
            r#"{"note":"\u00e9\/\ud83d\ude00\"\\","raw":"é/","ackTimeout":"#,
            r#","topic":"orders","deadLetterTopic":"d"}"#,
        ),
        (
            "namesakes-inside",
            r#"{"inner":{"ackTimeout":0,"topic":5},"list":[{"ackTimeout":0}],"ackTimeout":"#,
            r#","topic":"orders","deadLetterTopic":"d","ACKTIMEOUT":0,"ackTimeout ":0}"#,
        ),
        ("escaped-key", r#"{"\u0061ck\u0054imeout":"#, r#","topic":"orders","deadLetterTopic":"d"}"#),
        ("unknown-twice", r#"{"x":1,"ackTimeout":"#, r#","x":2,"topic":"orders","deadLetterTopic":"d"}"#),
    ];
    bodies
        .map(|(name, before, after)| {
            Case::subscribe(name, json!({}), format!("{before}0{after}"))
                .edited(format!("{before}10000{after}"), &[CLAMPED])
        })
        .to_vec()
}

fn a_new_field_stands_behind_the_last_one() -> Vec<Case> {
    let bodies = [
        ("tight", r#"{"ackTimeout":10000,"topic":"orders""#, "}"),
        ("spaced", "{ \"ackTimeout\" : 10000 , \"topic\" : \"orders\"", "\n}\n"),
        ("behind-a-list", r#"{"ackTimeout":10000,"topic":"orders","list":[1,{"a":"}"}]"#, " }"),
    ];
    bodies
        .map(|(name, before, after)| {
            Case::subscribe(name, json!({}), format!("{before}{after}"))
                .edited(format!("{before},\"deadLetterTopic\":\"orders.dlq\"{after}"), &[INJECTED])
        })
        .to_vec()
}

fn a_large_body_is_edited_whole() -> Vec<Case> {
    let padding = "é\\n".repeat(60_000);
    let (before, after) =
        (r#"{"topic":"orders","ackTimeout":"#, format!(r#","deadLetterTopic":"d","x":"{padding}"}}"#));
    vec![
        Case::subscribe("large", json!({}), format!("{before}0{after}"))
            .edited(format!("{before}10000{after}"), &[CLAMPED]),
    ]
}

#[tokio::test]
async fn an_edit_changes_its_field_and_nothing_else() {
    judge(
        &[all_bytes_around_an_edit_survive(), a_new_field_stands_behind_the_last_one(), a_large_body_is_edited_whole()]
            .concat(),
    )
    .await;
}
