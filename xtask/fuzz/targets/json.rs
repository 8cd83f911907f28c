//! What is read as JSON is written as JSON that everybody reads, and reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xtask::feature::{js_json, json};

fuzz_target!(|text: &str| {
    match json::parse(text) {
        Ok(value) => {
            let written = js_json::stringify(&value);
            serde_json::from_str::<serde_json::Value>(&written).expect("what is written is strict JSON");
            let again = json::parse(&written).expect("and ours");
            assert_eq!(js_json::stringify(&again), written);
            let pretty = json::parse(&js_json::stringify_pretty(&value)).expect("the long form, too");
            assert_eq!(js_json::stringify(&pretty), written);
        }
        Err(error) => {
            // Strict JSON is refused for its depth and for one name only.
            let strict = serde_json::from_str::<serde_json::Value>(text).is_ok();
            let on_purpose = error.what.contains("too deeply") || error.what.contains("__proto__");
            assert!(!strict || on_purpose, "{error}");
            let line = text.split('\n').nth(error.line - 1).expect("a line of the text");
            assert!(error.column >= 1 && error.column <= line.chars().count() + 2, "{error}");
        }
    }
});
