//! Matchers of strings and of requests, and what they match.

use serde_json::{json, Value};

use crate::random::Random;

/// What a request must have so that a rule matches it.
#[derive(Clone, Debug, Default)]
pub struct Door {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub query: Vec<String>,
    pub method: Option<&'static str>,
}

/// A `StringMatcher` that takes `value`.
pub fn string_matcher(random: &mut Random, value: &str) -> Value {
    let half = value.len() / 2;
    let mut matcher = match random.below(6) {
        0 | 1 => json!({"exact": value}),
        2 => json!({"prefix": &value[..half.max(1)]}),
        3 => json!({"suffix": &value[half..]}),
        4 => json!({"contains": &value[half / 2..half.max(1)]}),
        _ => return json!({"safe_regex": {"regex": *random.pick(&[".*", "[a-z:/@.]+", "a.*", "A?[a-z]*"])}}),
    };
    if random.chance(30) {
        matcher["ignore_case"] = random.chance(70).into();
    }
    matcher
}

/// A `RouteMatch`, and how to meet it.
pub fn route_match(random: &mut Random) -> (Value, Door) {
    let (mut rule, path) = path_match(random);
    let mut door = Door { path, ..Door::default() };
    if rule.get("connect_matcher").is_some() || (rule["safe_regex"]["regex"] == ".*" && random.chance(40)) {
        door.method = Some("CONNECT");
    }
    if random.chance(15) {
        rule["case_sensitive"] = random.chance(30).into();
        if random.chance(40) {
            door.path = door.path.to_uppercase();
        }
    }
    if random.chance(25) {
        let headers = (0..=random.below(2)).map(|_| header_matcher(random, &mut door)).collect();
        rule["headers"] = Value::Array(headers);
    }
    if random.chance(15) {
        let parameters = (0..=random.below(2)).map(|_| query_matcher(random, &mut door)).collect();
        rule["query_parameters"] = Value::Array(parameters);
    }
    (rule, door)
}

fn path_match(random: &mut Random) -> (Value, String) {
    let path = (*random.pick(&["/a", "/a/b", "/Api/v1", "/x.y/z", "/caf%C3%A9"])).to_owned();
    match random.below(12) {
        0 if random.chance(10) => (json!({"prefix": ""}), path),
        3 if random.chance(5) => (json!({"path": ""}), path),
        0..=2 => (json!({"prefix": path}), path + *random.pick(&["", "/more", "x", "?q=1"])),
        3..=5 => (json!({"path": path}), path),
        6 | 7 => (json!({"path_separated_prefix": path}), path + *random.pick(&["", "/more"])),
        8 | 9 => {
            let (regex, path) = *random.pick(&[
                ("/a/[0-9]+", "/a/42"),
                ("/(a|b)/.*", "/b/c"),
                (".*\\.json", "/x/y.json"),
                ("/a", "/a"),
                ("/[^/]+/x", "/q/x"),
                (".*", "/any/path"),
            ]);
            (json!({"safe_regex": {"regex": regex}}), path.to_owned())
        }
        10 => {
            let (template, path) = *random.pick(&[
                ("/t/{x}/c", "/t/1/c"),
                ("/t/*/d", "/t/2/d"),
                ("/t/**", "/t/1/2/3"),
                ("/t/{x=*}/e/{y=**}", "/t/1/e/2/3"),
                ("/t/{x}.json", "/t/a.json"),
            ]);
            let policy = json!({
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": template,
                },
            });
            (json!({"path_match_policy": policy}), path.to_owned())
        }
        _ => (json!({"connect_matcher": {}}), path),
    }
}

fn header_matcher(random: &mut Random, door: &mut Door) -> Value {
    let name = *random.pick(&["x-tier", "X-Version", "x-kind", ":method", ":authority", "host", "x-empty"]);
    let value = match name {
        ":method" => *random.pick(&["GET", "POST"]),
        ":authority" | "host" => "gateway.example",
        _ => *random.pick(&["gold", "Silver", "7", "-3", "a:b"]),
    };
    let mut matcher = json!({ "name": name });
    let mut given = Some(value.to_owned());
    match random.below(12) {
        0..=3 => matcher["string_match"] = string_matcher(random, value),
        4 => {
            let present = random.chance(60);
            matcher["present_match"] = present.into();
            given = given.filter(|_| present);
        }
        5 | 6 => {
            let (start, end) = *random.pick(&[(-5, 10), (0, 7), (7, 8), (-3, -2)]);
            matcher["range_match"] = json!({"start": start, "end": end});
            given = Some((*random.pick(&["7", "-3", "0", "10", "x", "7.0", ""])).to_owned());
        }
        7 => {}
        8 => matcher["exact_match"] = value.into(),
        9 => matcher["prefix_match"] = value[..1].into(),
        10 => matcher["suffix_match"] = value[value.len() - 1..].into(),
        _ => match random.below(2) {
            0 => matcher["contains_match"] = value.into(),
            _ => matcher["safe_regex_match"] = json!({"regex": ".+"}),
        },
    }
    if random.chance(15) {
        matcher["invert_match"] = true.into();
    }
    if random.chance(20) {
        matcher["treat_missing_header_as_empty"] = true.into();
    }
    match (name, given) {
        (":method", _) => door.method = Some(if value == "POST" { "POST" } else { "GET" }),
        (":authority" | "host", _) | (_, None) => {}
        (name, Some(value)) => door.headers.push((name.to_owned(), value)),
    }
    matcher
}

fn query_matcher(random: &mut Random, door: &mut Door) -> Value {
    let name = *random.pick(&["q", "page", "x y", "Q"]);
    let value = *random.pick(&["one", "Two", "3", "a%20b"]);
    let pair = format!("{}={value}", name.replace(' ', "%20"));
    match random.below(4) {
        0 | 1 => {
            door.query.push(pair);
            json!({"name": name, "string_match": string_matcher(random, value)})
        }
        2 => {
            let present = random.chance(60);
            if present {
                door.query.push(pair);
            }
            json!({"name": name, "present_match": present})
        }
        _ => {
            door.query.push(pair);
            json!({ "name": name })
        }
    }
}
