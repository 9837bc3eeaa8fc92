//! Requests for a configuration: under its rules, with tokens in its places, and with what clients should not send.

use crate::configurations::{Configuration, Place, Provider};
use crate::keys::Oddity;
use crate::matches::Door;
use crate::random::Random;
use crate::tokens::Token;

/// A request in parts that can be left out one by one.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub host: String,
    pub path: String,
    /// Pairs as they are written.
    pub query: Vec<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// The tokens in it, for [`crate::explained`].
    pub tokens: Vec<Token>,
    /// What is wrong with it, for the summary.
    pub faults: Vec<&'static str>,
}

impl Request {
    /// `GET`.
    pub fn to(path: &str) -> Self {
        Self {
            method: "GET",
            host: "gateway.example".to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            tokens: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// With a token where it belongs.
    pub fn with_token(mut self, place: &Place, text: &str) -> Self {
        match place {
            Place::Header(name, prefix) => self.headers.push((name.clone(), format!("{prefix}{text}"))),
            Place::Param(name) => self.query.push(format!("{}={text}", name.replace(' ', "%20"))),
            Place::Cookie(name) => self.headers.push(("cookie".to_owned(), format!("{name}={text}"))),
        }
        self
    }

    /// As it is written on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut target = self.path.clone();
        for (index, pair) in self.query.iter().enumerate() {
            target.push(if index == 0 && !self.path.contains('?') { '?' } else { '&' });
            target.push_str(pair);
        }
        if self.method == "CONNECT" {
            target = format!("{}:443", self.host);
        }
        let mut text = format!("{} {target} HTTP/1.1\r\nhost: {}\r\n", self.method, self.host);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(self.body.as_deref().unwrap_or_default());
        text.into_bytes()
    }

    /// How `token` may be treated otherwise on purpose, as it stands in this request: what follows it there makes a longer signature,
    /// since white space does not count in base64url, as Envoy reads it.
    pub fn oddities(&self, token: &Token) -> Vec<Oddity> {
        let mut oddities = token.oddities.clone();
        let behind = |text: &str| {
            FORMS.iter().any(|form| {
                let rest = text.split_once(&form(&token.text)).and_then(|(_, rest)| rest.split(['&', ';']).next());
                // What ends the value of a cookie is no part of the token.
                rest.is_some_and(|rest| !rest.replace("%20", "").replace("%09", "").trim().trim_matches('"').is_empty())
            })
        };
        let mut texts = self.headers.iter().map(|(_, value)| value).chain(&self.query);
        if token.ecdsa && !token.text.is_empty() && texts.any(|text| behind(text)) {
            oddities.push(Oddity::SignatureLength);
        }
        oddities
    }

    /// The same with signatures that no key made, in place of those that the gate takes for such.
    pub fn without_odd_signatures(&self) -> Self {
        let mut request = self.clone();
        for token in self.tokens.iter().filter(|token| !token.text.is_empty() && !self.oddities(token).is_empty()) {
            let values = request.headers.iter_mut().map(|(_, value)| value);
            for text in values.chain(&mut request.query) {
                *text = FORMS
                    .iter()
                    .fold(text.clone(), |text, form| text.replace(&form(&token.text), &form(&token.unsigned)));
            }
        }
        request
    }
}

/// How a token is written into a request.
pub const FORMS: [fn(&str) -> String; 3] = [str::to_owned, in_query, encoded];

/// Makes the requests of one configuration.
pub struct Requests<'a> {
    configuration: &'a Configuration,
    random: Random,
    earlier: Vec<Token>,
}

impl<'a> Requests<'a> {
    pub fn of(seed: u64, configuration: &'a Configuration) -> Self {
        let random = Random::of(seed.wrapping_add(1), configuration.index);
        Self { configuration, random, earlier: Vec::new() }
    }

    /// The next one, at `now`, in seconds.
    pub fn next(&mut self, now: u64) -> Request {
        let (door, names) = self.door();
        let mut request = self.outer(door);
        let providers = &self.configuration.providers;
        let mut wanted: Vec<&Provider> = providers.iter().filter(|provider| names.contains(&provider.name)).collect();
        if wanted.is_empty() {
            wanted.extend(providers);
        }
        self.random.shuffle(&mut wanted);
        let tokens = match self.random.below(20) {
            0 | 1 => 0,
            2..=13 => 1,
            14..=18 => wanted.len(),
            _ => 3,
        };
        let healthy = self.random.chance(48);
        for index in 0..tokens {
            let provider = wanted[index % wanted.len()];
            let token = self.token(provider, now, healthy);
            let place = self.random.pick(&provider.places).clone();
            self.put(&mut request, &token, &place, healthy);
            request.faults.extend(&token.faults);
            request.tokens.push(token);
        }
        self.spoof(&mut request);
        self.tricks(&mut request, healthy);
        request
    }

    fn door(&mut self) -> (Door, Vec<String>) {
        let doors = &self.configuration.doors;
        if doors.is_empty() || self.random.chance(6) {
            let path = (*self.random.pick(&["/", "/nowhere", "/a", "/A/B"])).to_owned();
            return (Door { path, ..Door::default() }, Vec::new());
        }
        self.random.pick(doors).clone()
    }

    fn outer(&mut self, door: Door) -> Request {
        let random = &mut self.random;
        let method = match door.method {
            Some("CONNECT") if random.chance(60) => "GET",
            Some(method) => method,
            None => random.pick(&["GET", "GET", "GET", "GET", "POST", "HEAD", "OPTIONS", "DELETE"]),
        };
        let host = if random.chance(92) {
            "gateway.example"
        } else {
            random.pick(&["GateWay.Example:8443", "[::1]:80", "127.0.0.1", "g"])
        };
        let mut headers = door.headers;
        if random.chance(10) && !headers.is_empty() {
            headers.remove(0);
        }
        if random.chance(6) {
            let (name, value) = *random.pick(&[
                ("x-tier", "gold"),
                ("x-version", "7"),
                ("x-kind", ""),
                ("x-tier", "silver"),
                ("X-Tier", "a:b"),
                ("x-version", "99999999999999999999"),
            ]);
            headers.push((name.to_owned(), value.to_owned()));
        }
        if self.configuration.json.get("filter_state_rules").is_some() && random.chance(60) {
            headers.push(("x-choice".to_owned(), (*random.pick(&["one", "two", "two", "three", ""])).to_owned()));
        }
        if method == "OPTIONS" && random.chance(70) {
            headers.push(("origin".to_owned(), "https://site.example".to_owned()));
            if random.chance(80) {
                let wanted = *random.pick(&["GET", "PUT", ""]);
                headers.push(("access-control-request-method".to_owned(), wanted.to_owned()));
            }
        }
        let body = (method == "POST").then(|| "a=1".to_owned());
        Request { method, host: host.to_owned(), query: door.query, headers, body, ..Request::to(&door.path) }
    }

    fn token(&mut self, provider: &Provider, now: u64, healthy: bool) -> Token {
        if !self.earlier.is_empty() && self.random.chance(12) {
            return self.random.pick(&self.earlier).clone();
        }
        let token = if healthy || self.random.chance(25) {
            Token::good(&mut self.random, provider, now)
        } else {
            Token::faulty(&mut self.random, provider, now)
        };
        if token.text.len() < 8_000 {
            self.earlier.push(token.clone());
        }
        token
    }

    fn put(&mut self, request: &mut Request, token: &Token, place: &Place, healthy: bool) {
        let random = &mut self.random;
        let text = &token.text;
        match place {
            Place::Header(name, prefix) if healthy || random.chance(60) => {
                request.headers.push((name.clone(), format!("{prefix}{text}")));
            }
            Place::Header(name, prefix) => {
                let (fault, value) = prefix_fault(random, prefix, text);
                request.headers.push((name.clone(), value));
                request.faults.push(fault);
            }
            Place::Param(name) => {
                let name = name.replace(' ', "%20");
                let written = in_query(text);
                let pair = match random.below(if healthy { 8 } else { 15 }) {
                    0..=6 => format!("{name}={written}"),
                    7 => format!("{name}={}", encoded(text)),
                    8 => format!("{}={written}", name.replacen('t', "%74", 1)),
                    9 => format!("{name}={written}%20"),
                    10 => format!("{}={written}", name.to_uppercase()),
                    11 => format!("x;{name}={written}"),
                    12 => name.clone(),
                    // A token that is to be found again stays in one piece.
                    13 if token.oddities.is_empty() => {
                        // Of white space, a header can have but two kinds.
                        let (before, after) = text.split_at(nearest(text, random.below(text.len() + 1)));
                        let space = *random.pick(&["%0a", "%0d", "%0b", "%0c", "%00", "%0d%0a"]);
                        request.faults.push("control character in a query");
                        format!("{name}={}{space}{}", in_query(before), in_query(after))
                    }
                    _ => {
                        request.query.push(format!("{name}=a.b.c"));
                        format!("{name}={written}")
                    }
                };
                let at = random.below(request.query.len() + 1);
                request.query.insert(at, pair);
            }
            Place::Cookie(name) => {
                let value = match random.below(if healthy { 6 } else { 12 }) {
                    0..=2 => format!("{name}={text}"),
                    3 => format!("a=1; {name}={text}; b=2"),
                    4 => format!("{name}=\"{text}\""),
                    5 => format!("a=1;{name}={text}"),
                    6 => format!("{name} ={text}"),
                    7 => format!("{name}={text}; {name}=a.b.c"),
                    8 => format!("{name}=a.b.c; {name}={text}"),
                    9 => format!("{}={text}", name.to_uppercase()),
                    10 => name.clone(),
                    _ => format!("a=1, {name}={text}"),
                };
                let header = if random.chance(90) { "cookie" } else { "Cookie" };
                request.headers.push((header.to_owned(), value));
            }
        }
    }

    /// Adds headers that the filter itself writes.
    fn spoof(&mut self, request: &mut Request) {
        let random = &mut self.random;
        let outputs = &self.configuration.outputs;
        if !outputs.is_empty() && random.chance(25) {
            for _ in 0..=random.below(2) {
                let name = random.pick(outputs);
                let name = match random.below(4) {
                    0 => name.to_uppercase(),
                    1 => name.replace('-', "_"),
                    _ => name.clone(),
                };
                request.headers.push((name, (*random.pick(&["evil", "", "alice"])).to_owned()));
            }
        }
        if random.chance(5) {
            let name = *random.pick(&["x-jwt-signature-verified", "X-Checked", "x-sub"]);
            request.headers.push((name.to_owned(), "true".to_owned()));
        }
    }

    fn tricks(&mut self, request: &mut Request, healthy: bool) {
        let random = &mut self.random;
        if random.chance(20) {
            let pair = *random.pick(&[
                "x=1",
                "x",
                "x=",
                "=",
                "",
                "x=a%2Fb%20c+d",
                "x=a=b",
                "x=%c3%a9",
                "x=%zz",
                "x=%",
                "y=a?b",
                "y=a;b",
                "b=2&a=1&b=1",
                "x=%26",
                "x=\"q\"",
                "X=1",
                "x=%00",
            ]);
            let at = random.below(request.query.len() + 1);
            request.query.insert(at, pair.to_owned());
        }
        if random.chance(6) {
            let (name, value) = *random.pick(&[
                ("x-forwarded-proto", "https"),
                ("x-envoy-original-path", "/original?x=1"),
                ("x-forwarded-host", "other"),
                ("accept", "application/json"),
                ("content-type", "application/grpc"),
                ("authorization", "Basic YTpi"),
                ("x-forwarded-for", "192.0.2.1"),
            ]);
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        if !healthy && random.chance(12) {
            let path = &mut request.path;
            match random.below(8) {
                0 => *path = format!("/{path}"),
                1 => path.push('/'),
                2 => *path = path.replacen('/', "/%2e/", 1),
                3 => *path = path.replace("/b", "%2fb"),
                4 => path.push_str(";x=1"),
                5 => *path = path.to_uppercase(),
                6 => path.push_str(&"/long".repeat(80)),
                _ => path.push_str("/\"quoted\""),
            }
        }
        if random.chance(15) {
            random.shuffle(&mut request.headers);
        }
        if random.chance(3) && !request.headers.is_empty() {
            let again = random.pick(&request.headers).clone();
            request.headers.push(again);
        }
    }
}

fn prefix_fault(random: &mut Random, prefix: &str, text: &str) -> (&'static str, String) {
    match random.below(14) {
        0 => ("prefix in lower case", format!("{}{text}", prefix.to_lowercase())),
        1 => ("prefix in upper case", format!("{}{text}", prefix.to_uppercase())),
        2 => ("letter before the prefix", format!("X{prefix}{text}")),
        3 => ("another scheme before the prefix", format!("Basic YTpi, {prefix}{text}")),
        4 => ("no white space after the prefix", format!("{}{text}", prefix.trim_end())),
        5 => ("two spaces after the prefix", format!("{prefix} {text}")),
        6 => ("tab after the prefix", format!("{}\t{text}", prefix.trim_end())),
        7 => ("no prefix", text.to_owned()),
        8 => ("prefix alone", prefix.to_owned()),
        9 => ("prefix twice", format!("{prefix}{prefix}{text}")),
        10 => ("comma after the token", format!("{prefix}{text},")),
        11 => ("text after the token", format!("{prefix}{text} x")),
        12 => ("quoted token", format!("{prefix}\"{text}\"")),
        _ => ("junk after the prefix", format!("{prefix}!,;{text}")),
    }
}

/// Where the character begins that this byte is in.
fn nearest(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// Percent-encoded where it must be.
fn in_query(text: &str) -> String {
    text.replace(' ', "%20").replace('\t', "%09").replace('é', "%c3%a9")
}

/// Percent-encoded where nothing has to be.
fn encoded(text: &str) -> String {
    in_query(text).replace('.', "%2E").replace('-', "%2d").replacen('e', "%65", 1)
}
