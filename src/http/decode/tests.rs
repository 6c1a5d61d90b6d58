//! Bodies as clients send them, well-formed and not.

use proptest::prelude::*;

use super::*;

fn code(body: &[u8]) -> Result<Option<String>, String> {
    submission(body).map(|request| request.code).map_err(|refusal| refusal.to_string())
}

#[test]
fn bodies_that_are_read() {
    let table: &[(&[u8], Option<&str>)] = &[
        (b"{}", None),
        (br#"{"code":"x"}"#, Some("x")),
        (br#" {"code":"x"} trailing { garbage"#, Some("x")),
        (b"{\"code\":\"x\"}\n\"a\nb\"", Some("x")),
        (br#"{"CODE":"x"}"#, Some("x")),
        (br#"{"code":"x","Code":"y"}"#, Some("y")),
        (br#"{"Code":"x","code":"y"}"#, Some("y")),
        (br#"{"code":"x","code":null}"#, Some("x")),
        (br#"{"code":null}"#, None),
        (br#"{"code":""}"#, Some("")),
        (br#"{"code":"\u0000\n\u00e9\ud83d\ude00"}"#, Some("\0\n\u{e9}\u{1f600}")),
        (br#"{"code":"a\ud800b\udc00"}"#, Some("a\u{fffd}b\u{fffd}")),
        (br#"{"code":"\ud800\ud800\udc00"}"#, Some("\u{fffd}\u{10000}")),
        (b"{\"code\":\"a\xff\xfeb\"}", Some("a\u{fffd}\u{fffd}b")),
        (b"{\"code\":\"\xed\xa0\x80\"}", Some("\u{fffd}\u{fffd}\u{fffd}")),
        (b"{\"\xff\":1,\"code\":\"x\"}", Some("x")),
        (br#"{"id":7,"status":{"a":[1,{}]},"output":null,"code":"x","x":1e999}"#, Some("x")),
        (br#"{"a":"\"}{","code":"x"}"#, Some("x")),
    ];
    for (body, expected) in table {
        assert_eq!(code(body).as_ref().map(Option::as_deref), Ok(*expected), "{}", body.escape_ascii());
    }
}

#[test]
fn bodies_that_are_refused() {
    let table: &[(&[u8], &str)] = &[
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"null", "it must be a JSON object, not null"),
        (b"[]", "it must be a JSON object, not an array"),
        (b"[{\"code\":\"x\"}]", "it must be a JSON object, not an array"),
        (b"5", "it must be a JSON object, not a number"),
        (b"-5.5", "it must be a JSON object, not a number"),
        (b"true", "it must be a JSON object, not a boolean"),
        (b"\"secret\"", "it must be a JSON object, not a string"),
        (b"code=secret", "malformed JSON at line 1 column 1"),
        (b"{\"code\":\"sec", "the JSON ends too early in field \"code\""),
        (b"{\"code\":", "the JSON ends too early in field \"code\""),
        (b"{\"code\"", "the JSON ends too early in field \"code\""),
        (b"{\"code\":\"x\"", "the JSON ends too early"),
        (b"{\"code\":42}", "field \"code\" must be a string, not a number"),
        (b"{\"code\":-4.2}", "field \"code\" must be a string, not a number"),
        (b"{\"CODE\":true}", "field \"code\" must be a string, not a boolean"),
        (b"{\"input\":[115,101]}", "field \"input\" must be a string, not an array"),
        (b"{\"input\":[]}", "field \"input\" must be a string, not an array"),
        (b"{\"language\":{\"a\":1}}", "field \"language\" must be a string, not an object"),
        (b"{\"code\":nul}", "malformed JSON in field \"code\" at line 1 column 12"),
        (b"{\"code\":\"\\q\"}", "malformed JSON in field \"code\" at line 1 column 11"),
        (b"{'code':1}", "malformed JSON at line 1 column 2"),
        (b"{\"code\":\"x\",}", "malformed JSON at line 1 column 13"),
        (b"{\n\"code\":\"a\nb\"}", "a string of field \"code\" has an unescaped control character in line 2"),
        (b"{\"x\":\"\\\"\t\"}", "malformed JSON at line 1 column 8"),
    ];
    for (body, expected) in table {
        assert_eq!(code(body), Err(format!("Invalid request body: {expected}")), "{}", body.escape_ascii());
    }
}

#[test]
fn deep_nesting_of_unknown_fields_is_harmless() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 200_000;
        let inner = if open == "[" { "" } else { "1" };
        let body = format!("{{\"x\":{}{inner}{},\"code\":\"x\"}}", open.repeat(depth), close.repeat(depth));
        assert_eq!(code(body.as_bytes()), Ok(Some("x".into())));
        assert!(code(&body.as_bytes()[..depth]).is_err());
    }
}

proptest! {
    #[test]
    fn what_a_json_library_writes_is_read_back(code_ in any::<String>(), input in any::<String>(), language in any::<String>()) {
        let body = serde_json::json!({"code": code_, "input": input, "language": language, "id": [1]}).to_string();
        let expected = Request { language: Some(language), code: Some(code_), input: Some(input) };
        prop_assert_eq!(submission(body.as_bytes()), Ok(expected));
    }

    #[test]
    fn any_bytes_give_an_answer_of_one_line_that_repeats_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(refusal) = submission(&bytes) {
            prop_assert!(!refusal.to_string().contains(|c: char| c.is_control() || !c.is_ascii()));
        }
    }

    #[test]
    fn json_like_bytes_never_panic(text in "[{}\\[\\]\",:\\\\ a-f0-9\n\t]{0,60}") {
        let _ = submission(text.as_bytes());
    }
}
