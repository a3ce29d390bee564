//! Bodies of control requests, against `serde_json` and back.

use pushlab::push::{BadChange, Cursor, Leave, TopicChange, Topics};
use serde_json::{Value, json};

/// The most names of one list.
const MOST: usize = 4;

/// What is read is what another reader of JSON finds. What that reader finds to have the right shape
/// is read, if it is written without a member that comes twice. What is refused has its position
/// within the body.
pub fn bodies_are_what_they_say(data: &[u8]) {
    let read = TopicChange::parse(data, MOST);
    let value = serde_json::from_slice::<Value>(data);
    match &read {
        Ok(change) => expect_same(change, value.as_ref().expect("a body that is read is JSON")),
        Err(BadChange::NotJson(at)) => assert!(*at <= data.len(), "{at}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(value) = value else { return };
    // Another reader writes the members once, without white space, and with its own escapes.
    let again = TopicChange::parse(value.to_string().as_bytes(), MOST);
    assert_eq!(again.is_ok(), has_shape(&value), "{value}");
    if let (Ok(read), Ok(again)) = (&read, &again) {
        assert_eq!(read, again);
    }
    if let Ok(change) = again {
        expect_same(&change, &value);
        // Written and read, it is the same.
        let leave = match &change.leave {
            Leave::All => json!("all"),
            Leave::These(names) => json!(names),
            _ => unreachable!("no other way to leave"),
        };
        let text = json!({ "join": change.join, "after": change.after.to_string(), "leave": leave }).to_string();
        assert_eq!(TopicChange::parse(text.as_bytes(), MOST).as_ref(), Ok(&change), "{text}");
    }
}

/// The change has what the value has, without duplicates.
fn expect_same(change: &TopicChange, value: &Value) {
    assert_eq!(change.join, names(&value["join"]), "{value}");
    match &change.leave {
        Leave::All => assert_eq!(value["leave"], "all"),
        Leave::These(left) => assert_eq!(left, &names(&value["leave"]), "{value}"),
        _ => unreachable!("no other way to leave"),
    }
    assert_eq!(Ok(change.after), value["after"].as_str().unwrap_or_default().parse::<Cursor>(), "{value}");
}

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn has_shape(value: &Value) -> bool {
    let is_name = |name: &Value| name.as_str().is_some_and(|name| !name.contains(',') && Topics::parse(name, 1).is_ok());
    let is_list = |list: &Value| list.as_array().is_some_and(|list| list.len() <= MOST && list.iter().all(is_name));
    let Some(object) = value.as_object() else { return false };
    object.iter().all(|(name, value)| match &**name {
        "join" => is_list(value),
        "leave" => is_list(value) || value == "all",
        "after" => value.as_str().is_some_and(|text| text.parse::<Cursor>().is_ok()),
        _ => false,
    })
}
