//! The README says what the code does: its tables are made from the code, its configuration is the one that runs.

use std::fs;
use std::path::{Path, PathBuf};

use jwt_gate::config::{Config, FIELDS};
use jwt_gate::remote::Outcome;
use jwt_gate::stats::{Counter, Histogram, JWKS_GAUGES, REVOCATION_GAUGES};
use jwt_gate::verdict::{Challenge, Reason};
use serde_json::json;

use crate::world::{merged, remote};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn fields() -> String {
    let mut table = String::new();
    let mut object = "";
    for field in FIELDS {
        if field.object != object {
            object = field.object;
            table.push_str(&format!("\n**{object}**\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n"));
        }
        table.push_str(&format!("| `{}` | {} | {} | {} |\n", field.name, field.kind, field.default, field.meaning));
    }
    table
}

fn reasons() -> String {
    let mut table = "\n| Code | Status | `WWW-Authenticate` | When |\n|---|---|---|---|\n".to_owned();
    for (reason, when) in Reason::ALL.iter().zip(when()) {
        let challenge = match reason.challenge() {
            Challenge::None => "",
            Challenge::Bare => "`Bearer`",
            Challenge::InvalidRequest => "`invalid_request`",
            Challenge::InvalidToken => "`invalid_token`",
            Challenge::InsufficientScope => "`insufficient_scope`",
        };
        table.push_str(&format!("| `{}` | {} | {challenge} | {when} |\n", reason.code(), reason.status()));
    }
    table
}

/// The documentation of each reason, from the table in the source.
fn when() -> Vec<String> {
    let source = read("src/verdict/reason.rs");
    let table = source.split("\nreasons! {").nth(1).and_then(|rest| rest.split("\n}").next());
    let docs = table.expect("the table of reasons").lines().filter_map(|line| line.trim().strip_prefix("/// "));
    // A link of rustdoc is a name in the README.
    let plain = |doc: &str| {
        let mut text = doc.to_owned();
        while let Some((before, link)) = text.split_once("[`") {
            let (name, rest) = link.split_once("`](").expect("a link has a target");
            let (_, rest) = rest.split_once(')').expect("a link ends");
            text = format!("{before}{}{rest}", value_of(name));
        }
        text
    };
    let table: Vec<String> = docs.map(plain).collect();
    assert_eq!(table.len(), Reason::ALL.len(), "one line for each reason");
    table
}

fn value_of(name: &str) -> String {
    assert_eq!(name, "MAX_TOKEN_BYTES", "a value that the README does not know");
    format!("{} bytes", jwt_gate::limits::MAX_TOKEN_BYTES)
}

#[test]
fn the_tables_of_the_readme_are_those_of_the_code() {
    let mut readme = read("README.md");
    for (name, table) in [("fields", fields()), ("reasons", reasons())] {
        let (begin, end) = (format!("<!-- {name}: "), format!("<!-- /{name} -->"));
        let start = readme.find(&begin).and_then(|at| Some(at + readme[at..].find("-->\n")? + 4));
        let (start, stop) = start.zip(readme.find(&end)).expect("the README marks where its tables are");
        if std::env::var_os("UPDATE_README").is_some() {
            readme.replace_range(start..stop, &table);
        }
        assert_eq!(readme[start..].split(&end).next(), Some(table.as_str()), "UPDATE_README=1 cargo test readme");
    }
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(project("README.md"), readme).expect("the README can be written");
    }
}

#[test]
fn every_metric_is_in_the_readme_with_the_labels_that_the_example_makes_of_it() {
    let readme = read("README.md");
    let metrics = readme.split("\n## Metrics\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let metrics = metrics.expect("the README has a section on metrics");
    let of_provider = [Counter::ProviderAllowed(0), Counter::ProviderDenied(0, Reason::TokenExpired)];
    let fetches = Outcome::ALL
        .into_iter()
        .flat_map(|outcome| [Counter::ProviderJwksFetch(0, outcome), Counter::ProviderRevocationFetch(0, outcome)]);
    for counter in Counter::all(true, true).into_iter().chain(of_provider).chain(fetches) {
        let mut name = counter.name("main").replace("_main", "_<provider>");
        // One row for each of these, which says how a fetch can end.
        if let Counter::ProviderJwksFetch(_, outcome) | Counter::ProviderRevocationFetch(_, outcome) = counter {
            name = name.replace(&format!("_{}_", outcome.code()), "_<how>_");
            let row = metrics.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap_or_default();
            assert!(row.contains(&format!("`{}`", outcome.code())), "{name} does not say {outcome:?}");
        }
        if let Some(code) = Reason::ALL.iter().map(|reason| reason.code()).find(|code| name.ends_with(code)) {
            name = format!("{}<code>", name.strip_suffix(code).expect("it ends so"));
        }
        assert!(metrics.contains(&format!("`{name}`")), "{name} is not in the README");
    }
    for histogram in
        [Histogram::JwksFetch, Histogram::RevocationFetch, Histogram::Introspection, Histogram::Authorization]
    {
        assert!(metrics.contains(&format!("`{}`", histogram.name())), "{histogram:?}");
    }
    for gauge in JWKS_GAUGES.into_iter().chain(REVOCATION_GAUGES) {
        assert!(metrics.contains(&format!("`{gauge}_<provider>`")), "{gauge}");
    }
    let tags = blocks(metrics, "yaml").into_iter().next().expect("the README has the tags");
    assert!(read("envoy.yaml").contains(tags), "{tags}");
}

/// The fenced blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_configuration_of_the_readme_is_the_one_that_the_demo_runs() {
    let readme = read("README.md");
    let quoted = blocks(&readme, "yaml").into_iter().next().expect("the README quotes the configuration");
    let running = read("envoy.yaml");
    let at = running.find("providers:").expect("envoy.yaml configures the gate");
    let indent = at - running[..at].rfind('\n').expect("it is not the first line") - 1;
    let block: String = running[at - indent..]
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(&" ".repeat(indent)))
        .map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()))
        .collect();
    assert_eq!(quoted, block);
}

#[test]
fn the_configuration_of_the_readme_for_istio_is_one_that_the_gate_reads() {
    let readme = read("README.md");
    let plugin = blocks(&readme, "yaml").into_iter().find(|block| block.contains("kind: WasmPlugin"));
    let config =
        plugin.and_then(|plugin| plugin.split("pluginConfig:\n").nth(1)).expect("the README configures a plugin");
    let config = Config::parse(config.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let cluster = "`outbound|443||auth.example`";
    let document = format!("{:?}", config.documents(1));
    assert!(document.contains(cluster.trim_matches('`')) && readme.contains(cluster), "{document}");
}

#[test]
fn every_example_of_a_rule_in_the_readme_is_one_that_the_gate_reads() {
    let readme = read("README.md");
    let section = readme.split("## Rules beyond the token").nth(1).and_then(|rest| rest.split("\n## ").next());
    let examples = blocks(section.expect("the README has rules"), "json");
    assert!(!examples.is_empty());
    for example in examples.into_iter().filter(|example| cfg!(feature = "cel") || !example.contains("\"cel\"")) {
        let example: serde_json::Value =
            serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
        let config = merged(json!({"providers": {"auth-api": remote(json!({}))}}), example);
        Config::parse(config.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {config}"));
    }
}

#[test]
fn every_manifest_has_a_module_that_traps_made_anew_and_none_lets_requests_pass_it() {
    let mut seen = 0;
    for path in ["envoy.yaml", "README.md", "examples/microservices/README.md", "tests/support/envoy.rs"] {
        let text = read(path);
        let count = |part: &str| text.matches(part).count();
        let policies = count("failure_policy: FAIL_RELOAD") + count(r#""failure_policy": "FAIL_RELOAD""#);
        assert!(policies >= count("filters.http.wasm.v3.Wasm"), "{path}: a filter without the policy");
        assert_eq!(
            count("kind: WasmPlugin"),
            count("failStrategy: FAIL_RELOAD"),
            "{path}: a plugin without the strategy"
        );
        for open in ["fail_open", "failure_policy: FAIL_OPEN", "failStrategy: FAIL_OPEN"] {
            assert_eq!(count(open), 0, "{path}: {open}");
        }
        seen += policies;
    }
    assert!(seen >= 3, "{seen} manifests");
}

#[test]
fn every_folder_that_the_readme_lays_out_is_there_and_none_is_missing() {
    let readme = read("README.md");
    let layout = blocks(&readme, "text").into_iter().find(|block| block.starts_with("src/")).expect("a layout");
    let named: Vec<&str> = layout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for path in &named {
        assert!(project(path).exists(), "{path} is not there");
    }
    for entry in
        fs::read_dir(project("src")).expect("there is a source").flatten().filter(|entry| entry.path().is_dir())
    {
        let name = format!("src/{}", entry.file_name().to_string_lossy());
        assert!(named.contains(&name.as_str()), "{name} is not in the README");
    }
}

#[test]
fn every_configuration_of_the_readmes_questions_names_a_field_that_exists() {
    let readme = read("README.md");
    let questions = readme.split("## Questions").nth(1).and_then(|rest| rest.split("## Every field").next());
    for name in
        ["remote_jwks", "cache_duration", "max_stale", "refetch_cooldown", "revocation", "clock_skew_seconds", "public"]
    {
        assert!(questions.is_some_and(|text| text.contains(&format!("`{name}"))), "{name} is not explained");
        assert!(FIELDS.iter().any(|field| field.name == name), "{name} is no field");
    }
}

#[test]
fn every_link_within_the_readme_leads_to_a_heading() {
    let readme = read("README.md");
    let slug = |heading: &str| -> String {
        let kept =
            heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    let headings: Vec<String> = readme
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches('#').trim()))
        .collect();
    let links: Vec<&str> = readme.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 20, "{}", links.len());
    for link in links {
        assert!(headings.iter().any(|heading| heading == link), "#{link} leads nowhere");
    }
}
