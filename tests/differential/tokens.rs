//! Tokens: good ones, and every way in which one can be wrong that we know of.

use crate::configurations::Provider;
use crate::keys::{Oddity, Signer};
use crate::mint::{encode, Key};
use crate::random::Random;

/// A token, and what it is made of.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    /// The same with a signature that no key made.
    pub unsigned: String,
    pub oddities: Vec<Oddity>,
    /// Whether it is signed on a curve, with two numbers.
    pub ecdsa: bool,
    /// What is wrong with it.
    pub faults: Vec<&'static str>,
}

/// A token in the making: JSON members in order, each as it will be written.
struct Draft {
    header: Vec<(String, String)>,
    claims: Vec<(String, String)>,
    signer: Signer,
    /// What it signs with, whatever the header says.
    alg: &'static str,
    oddities: Vec<Oddity>,
}

/// The token after signing: its three parts.
struct Parts {
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Token {
    /// A token that `provider` takes at `now`, in seconds.
    pub fn good(random: &mut Random, provider: &Provider, now: u64) -> Self {
        let draft = Draft::new(random, provider, now);
        draft.mint(random, None, None, Vec::new())
    }

    /// A token that is wrong in one way or two, some of which are harmless.
    pub fn faulty(random: &mut Random, provider: &Provider, now: u64) -> Self {
        let mut draft = Draft::new(random, provider, now);
        let mut faults = Vec::new();
        let (mut json, mut text) = (None, None);
        for _ in 0..if random.chance(15) { 2 } else { 1 } {
            match random.below(20) {
                0..=3 => faults.push(draft.spoil_header(random)),
                4..=11 => faults.push(draft.spoil_claims(random, now)),
                12 | 13 => faults.push(draft.spoil_signing(random)),
                14 | 15 => json = Some(random.below(JSON_FAULTS.len())),
                _ => text = Some(random.below(TEXT_FAULTS.len())),
            }
        }
        draft.mint(random, json, text, faults)
    }
}

/// Values that a claim may have, as JSON text.
const VALUES: [&str; 44] = [
    "0",
    "-0",
    "0.0",
    "-0.0",
    "0.5",
    "1",
    "-1",
    "1.5",
    "1e3",
    "1E+3",
    "1e300",
    "1e400",
    "-1e300",
    "4.9e-324",
    "0.1",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e21",
    "123456.789",
    "\"\"",
    "\"1\"",
    "\"text\"",
    "\"\\u00fc\\u20ac\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"ü€\"",
    "\"a b\"",
    "\"a,b\"",
    "\"a\\nb\"",
    "\"a\\u0000b\"",
    "\" x \"",
    "null",
    "true",
    "false",
    "[]",
    "[\"api\",\"x\"]",
    "[1,\"a\",null,{\"b\":[1.50]}]",
    "{\"b\":1,\"a\":{\"c\":\"d\"}}",
];

type JsonFault = fn(&mut String);
type TextFault = fn(&mut Parts, &mut Random) -> String;

/// What can be wrong with JSON text, of the header or of the payload.
const JSON_FAULTS: [(&str, JsonFault); 27] = [
    ("trailing comma", |json| json.insert(json.len() - 1, ',')),
    ("single quotes", |json| *json = json.replace('"', "'")),
    ("control character", |json| json.insert_str(json.len() - 1, ",\"x\":\"\u{1}\"")),
    ("raw tab", |json| json.insert_str(json.len() - 1, ",\"x\":\"\t\"")),
    ("duplicate member", |json| json.insert_str(json.len() - 1, ",\"x\":1,\"x\":2")),
    ("nested duplicate member", |json| json.insert_str(json.len() - 1, ",\"x\":{\"y\":1,\"y\":1}")),
    ("white space around", |json| *json = format!(" \n{json}\t ")),
    ("text after", |json| json.push('x')),
    ("second value", |json| json.push_str("{}")),
    ("NUL after", |json| json.push('\0')),
    ("array", |json| *json = format!("[{json}]")),
    ("string", |json| *json = "\"text\"".to_owned()),
    ("null", |json| *json = "null".to_owned()),
    ("empty", String::clear),
    ("cut", |json| json.truncate(json.len() - 1)),
    ("comment", |json| json.insert_str(1, "/*c*/")),
    ("byte order mark", |json| json.insert(0, '\u{feff}')),
    ("bad escape", |json| json.insert_str(json.len() - 1, ",\"x\":\"\\x41\"")),
    ("odd numbers", |json| json.insert_str(json.len() - 1, ",\"x\":01")),
    ("names without quotes", |json| {
        for name in ["alg", "typ", "kid", "iss", "sub", "aud", "exp", "name", "n", "list", "flag"] {
            *json = json.replace(&format!("\"{name}\":"), &format!("{name}:"));
        }
    }),
    ("name that begins with a digit", |json| json.insert_str(json.len() - 1, ",1x:1")),
    ("escaped single quote", |json| json.insert_str(json.len() - 1, ",\"x\":\"\\'\"")),
    ("escape of eight digits", |json| json.insert_str(json.len() - 1, ",\"x\":\"\\U0001f600\"")),
    ("halves of a pair apart", |json| json.insert_str(json.len() - 1, ",\"x\":\"\\ud83d \\ude00\"")),
    ("100 levels", |json| nest(json, 99)),
    ("101 levels", |json| nest(json, 100)),
    ("no UTF-8", |json| json.insert_str(json.len() - 1, &format!(",\"x\":\"{NO_UTF8}\""))),
];

/// Stands for a byte that no character has.
const NO_UTF8: char = '\u{e000}';

fn bytes_of(json: &str) -> Vec<u8> {
    let parts: Vec<&[u8]> = json.split(NO_UTF8).map(str::as_bytes).collect();
    parts.join(&0xff)
}

/// Puts lists into each other.
fn nest(json: &mut String, levels: usize) {
    json.insert_str(json.len() - 1, &format!(",\"x\":{}{}", "[".repeat(levels), "]".repeat(levels)));
}

/// What can be wrong with the compact form.
const TEXT_FAULTS: [(&str, TextFault); 34] = [
    ("no dots", |parts, _| parts.whole().replace('.', "")),
    ("two parts", |parts, _| format!("{}.{}", encode(&parts.header), encode(&parts.payload))),
    ("leading dot", |parts, _| format!(".{}", parts.whole())),
    ("doubled dot", |parts, _| parts.whole().replacen('.', "..", 1)),
    ("trailing dot", |parts, _| parts.whole() + "."),
    ("five parts", |parts, _| parts.whole() + ".a.b"),
    ("empty token", |_, _| String::new()),
    ("only dots", |_, _| "..".to_owned()),
    ("empty header", |parts, _| parts.joined("", &encode(&parts.payload), &encode(&parts.signature))),
    ("empty payload", |parts, _| parts.joined(&encode(&parts.header), "", &encode(&parts.signature))),
    ("empty signature", |parts, _| parts.joined(&encode(&parts.header), &encode(&parts.payload), "")),
    ("padding at the end", |parts, _| parts.whole() + "="),
    ("right padding at the end", |parts, _| parts.whole() + "=="),
    ("padding in the header", |parts, _| parts.whole().replacen('.', "=.", 1)),
    ("padding in the payload", |parts, _| {
        let whole = parts.whole();
        let (rest, signature) = whole.rsplit_once('.').expect("two dots");
        format!("{rest}==.{signature}")
    }),
    ("space inside", |parts, random| parts.with_inside(" ", random)),
    ("tab inside", |parts, random| parts.with_inside("\t", random)),
    ("space at the end", |parts, _| parts.whole() + " x"),
    ("other alphabet", |parts, _| parts.whole().replace('-', "+").replace('_', "/")),
    ("plus in the header", |parts, _| format!("+{}", parts.whole())),
    ("percent", |parts, random| parts.with_inside("%41", random)),
    ("comma after", |parts, _| parts.whole() + ","),
    ("second token after a comma", |parts, _| format!("{0},{0}", parts.whole())),
    ("quotes", |parts, _| format!("\"{}\"", parts.whole())),
    ("non-ASCII inside", |parts, random| parts.with_inside("é", random)),
    ("unused bits", |parts, _| {
        let mut whole = parts.whole();
        // The last character of most signatures has bits that belong to no byte.
        let next = whole.pop().map_or('A', |last| char::from(last as u8 + 1));
        whole.push(if next.is_ascii_alphanumeric() { next } else { 'B' });
        whole
    }),
    ("cut by one", |parts, _| {
        let mut whole = parts.whole();
        whole.pop();
        whole
    }),
    ("flipped bit in the payload", |parts, _| {
        let signature = encode(&parts.signature);
        let mut payload = parts.payload.clone();
        if let Some(byte) = payload.iter_mut().find(|byte| **byte == b'a') {
            *byte = b'b';
        }
        parts.joined(&encode(&parts.header), &encode(&payload), &signature)
    }),
    ("flipped bit in the signature", |parts, random| {
        if !parts.signature.is_empty() {
            let at = random.below(parts.signature.len());
            parts.signature[at] ^= 1 << random.below(8);
        }
        parts.whole()
    }),
    ("signature one byte shorter", |parts, _| {
        parts.signature.pop();
        parts.whole()
    }),
    ("signature one byte longer", |parts, _| {
        parts.signature.push(0);
        parts.whole()
    }),
    ("signature twice", |parts, _| {
        parts.signature.extend(parts.signature.clone());
        parts.whole()
    }),
    ("two bytes longer, zeros first", |parts, _| {
        parts.signature.splice(0..0, [0, 0]);
        parts.whole()
    }),
    ("zero signature", |parts, _| {
        parts.signature.fill(0);
        parts.whole()
    }),
];

impl Draft {
    fn new(random: &mut Random, provider: &Provider, now: u64) -> Self {
        let signer = if provider.signers.is_empty() {
            Signer { key: Key::p256(1), alg: "ES256", kid: None, oddity: None }
        } else {
            random.pick(&provider.signers).clone()
        };
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut header = vec![("alg".to_owned(), text(signer.alg)), ("typ".to_owned(), text("JWT"))];
        if let Some(kid) = signer.kid.as_ref().filter(|_| random.chance(85)) {
            header.push(("kid".to_owned(), text(kid)));
        }
        let mut claims = Vec::new();
        let mut claim = |name: &str, value: String| claims.push((name.to_owned(), value));
        match provider.issuer {
            Some(issuer) => claim("iss", text(issuer)),
            None if random.chance(70) => claim("iss", text("anyone")),
            None => {}
        }
        claim("sub", text(provider.subject));
        if let Some(audience) = provider.audiences.first() {
            match random.below(4) {
                0 => claim("aud", format!("[\"other\",{}]", text(audience))),
                1 => claim("aud", text(audience.trim_start_matches("https://").trim_end_matches('/'))),
                _ => claim("aud", text(audience)),
            }
        } else if random.chance(60) {
            claim("aud", text("api"));
        }
        if random.chance(95) {
            claim("exp", (now + *random.pick(&[300, 900, 3600])).to_string());
        }
        for (name, values, percent) in [
            ("name", &["\"Ada\"", "\"Ada Lovelace\"", "\"Zo\u{eb}\"", "\"\"", "7", "\"x-y_z\""][..], 50),
            ("n", &VALUES[..], 50),
            (
                "nest",
                &["{\"a\":{\"b\":\"deep\"}}", "{\"a\":\"x\",\"a.b\":{\"c\":1}}", "{\"a\":7}", "[]", "\"s\""][..],
                30,
            ),
            ("list", &["[\"a\",\"b\"]", "[]", "[1.0,1e21,-0.0,0.1]", "[{\"z\":1,\"a\":2}]"][..], 30),
            ("flag", &["true", "false", "null"][..], 20),
            ("a.b", &["\"dotted\"", "{\"c\":1}"][..], 15),
            ("https://x.example/roles", &["\"admin\"", "[\"admin\"]"][..], 15),
            ("scope", &["\"read write\"", "\" read  write \""][..], 20),
            ("jti", &["\"1\"", "\"b4d\""][..], 20),
        ] {
            if random.chance(percent) {
                claim(name, (*random.pick(values)).to_owned());
            }
        }
        if random.chance(20) {
            claim("iat", (now - 10).to_string());
        }
        let oddities = signer.oddity.into_iter().collect();
        Self { header, claims, alg: signer.alg, signer, oddities }
    }

    fn spoil_header(&mut self, random: &mut Random) -> &'static str {
        let value = (*random.pick(&VALUES)).to_owned();
        let (fault, name, value) = match random.below(12) {
            0 => ("alg of another type", "alg", value),
            1 => {
                let alg = *random.pick(&[
                    "none", "None", "", "rs256", "ES256K", "Ed25519", "HS256", "RS256", "ES256", "PS512", "EdDSA",
                ]);
                ("another alg", "alg", format!("\"{alg}\""))
            }
            2 => {
                self.header.retain(|(name, _)| name != "alg");
                return "no alg";
            }
            3 => ("kid of another type", "kid", value),
            4 => (
                "another kid",
                "kid",
                (*random.pick(&["\"unknown\"", "\"k1\"", "\"k2\"", "\"\"", "\"K1\""])).to_owned(),
            ),
            5 => {
                self.header.retain(|(name, _)| name != "kid");
                return "no kid";
            }
            6 => ("crit", "crit", (*random.pick(&["[\"exp\"]", "[\"b64\"]", "[]", "\"x\"", "[7]"])).to_owned()),
            7 => ("b64", "b64", (*random.pick(&["false", "true", "7"])).to_owned()),
            8 => ("typ", "typ", (*random.pick(&["\"at+jwt\"", "7", "\"\"", "null"])).to_owned()),
            9 => ("jku and jwk", "jwk", Key::p256(1).jwk().to_string()),
            10 => ("unknown header", "x", value),
            _ => {
                self.header.push(("alg".to_owned(), "\"RS256\"".to_owned()));
                return "alg twice";
            }
        };
        set(&mut self.header, name, value);
        fault
    }

    fn spoil_claims(&mut self, random: &mut Random, now: u64) -> &'static str {
        let value = (*random.pick(&VALUES)).to_owned();
        let (fault, name, value) = match random.below(24) {
            0 => ("iss of any value", "iss", value),
            1 => (
                "another iss",
                "iss",
                (*random.pick(&["\"https://evil.example\"", "\"https://two.example\"", "\"three\""])).to_owned(),
            ),
            2 => ("sub of any value", "sub", value),
            3 => ("another sub", "sub", "\"mallory\"".to_owned()),
            4 => ("aud of any value", "aud", value),
            5 => {
                let aud = random.pick(&[
                    "\"other\"",
                    "[]",
                    "[\"api\"]",
                    "[\"x\",7]",
                    "\"https://api\"",
                    "\"api/\"",
                    "\"api//\"",
                    "\"http://https://api\"",
                    "\"API\"",
                    "\"web/\"",
                    "[null]",
                ]);
                ("another aud", "aud", (*aud).to_owned())
            }
            6..=8 => ("exp of any value", "exp", value),
            9 | 10 => ("expired", "exp", (now - *random.pick(&[30, 90, 5000, 1_000_000])).to_string()),
            11 => ("exp far away", "exp", (now + *random.pick(&[90_000, 4_000_000_000])).to_string()),
            12 => ("exp with a fraction", "exp", format!("{}.5", now + 300)),
            13 | 14 => ("nbf of any value", "nbf", value),
            15 => ("nbf in the future", "nbf", (now + *random.pick(&[30, 90, 5000])).to_string()),
            16 => ("nbf in the past", "nbf", (now - 100).to_string()),
            17 => ("iat of any value", "iat", value),
            18 => ("iat in the future", "iat", (now + 100_000).to_string()),
            19 => ("jti of any value", "jti", value),
            20 => ("forwarded claim of any value", *random.pick(&["name", "n", "list", "flag", "scope"]), value),
            21 => {
                let name = *random.pick(&["iss", "sub", "aud", "exp", "exp"]);
                self.claims.retain(|(known, _)| known != name);
                return "claim left out";
            }
            22 => {
                let (name, value) = random.pick(&self.claims).clone();
                self.claims.push((name, value));
                return "claim twice";
            }
            _ => {
                let length = *random.pick(&[3_000, 3_000, 12_000, 40_000]);
                set(&mut self.claims, "padding", format!("\"{}\"", "x".repeat(length)));
                return "large token";
            }
        };
        set(&mut self.claims, name, value);
        fault
    }

    fn spoil_signing(&mut self, random: &mut Random) -> &'static str {
        let alg = self.alg;
        self.oddities.clear();
        match random.below(4) {
            0 => {
                self.signer.key = Key::hmac(Key::rsa().public_pem().as_bytes());
                self.alg = "HS256";
                set(&mut self.header, "alg", "\"HS256\"".to_owned());
                "HS256 by the public key"
            }
            // Of so few bits, a key has no room for other paddings.
            1 | 2 if self.signer.key.is_tiny() => {
                self.oddities.extend(self.signer.oddity);
                "nothing"
            }
            1 if alg.starts_with("RS") => {
                self.alg = "PS256";
                "signed with PSS"
            }
            2 if alg.starts_with("RS") || alg.starts_with("PS") => {
                self.alg = "RS384";
                "signed with another hash"
            }
            _ => {
                self.signer.key = match Key::of(alg, true) {
                    key if key.jwk() == self.signer.key.jwk() => Key::of(alg, false),
                    key => key,
                };
                "signed by another key"
            }
        }
    }

    fn mint(
        self,
        random: &mut Random,
        json: Option<usize>,
        text: Option<usize>,
        mut faults: Vec<&'static str>,
    ) -> Token {
        let (mut header, mut payload) = (object(&self.header), object(&self.claims));
        if let Some(fault) = json {
            let (name, spoil) = JSON_FAULTS[fault];
            spoil(if random.chance(50) { &mut header } else { &mut payload });
            faults.push(name);
        }
        let (header, payload) = (bytes_of(&header), bytes_of(&payload));
        let input = format!("{}.{}", encode(&header), encode(&payload));
        let signature = match self.signer.oddity {
            Some(Oddity::SmallOrder) if self.alg == "EdDSA" => identity_signature(),
            _ => self.signer.key.sign(self.alg, input.as_bytes()),
        };
        let (length, mut oddities) = (signature.len(), self.oddities);
        let mut parts = Parts { header, payload, signature };
        let whole = match text {
            None => parts.whole(),
            Some(fault) => {
                let (name, spoil) = TEXT_FAULTS[fault];
                faults.push(name);
                spoil(&mut parts, random)
            }
        };
        let ecdsa = self.alg.starts_with("ES");
        if ecdsa && length_of_signature(&whole) != length {
            oddities.push(Oddity::SignatureLength);
        }
        if parts.signature == identity_signature() && !oddities.contains(&Oddity::SmallOrder) {
            oddities.push(Oddity::SmallOrder);
        }
        let unsigned = match whole.trim_end_matches('.').rsplit_once('.') {
            Some((rest, signature)) => {
                let behind = &whole[rest.len() + 1 + signature.len()..];
                format!("{rest}.{}{behind}", encode(&vec![7; length_of_signature(&whole)]))
            }
            None => whole.clone(),
        };
        Token { text: whole, unsigned, oddities, ecdsa, faults }
    }
}

impl Parts {
    fn whole(&self) -> String {
        self.joined(&encode(&self.header), &encode(&self.payload), &encode(&self.signature))
    }

    fn joined(&self, header: &str, payload: &str, signature: &str) -> String {
        format!("{header}.{payload}.{signature}")
    }

    fn with_inside(&self, text: &str, random: &mut Random) -> String {
        let mut whole = self.whole();
        whole.insert_str(random.below(whole.len()), text);
        whole
    }
}

/// As Envoy reads it: white space and padding do not count.
fn length_of_signature(token: &str) -> usize {
    let signature = token.rsplit('.').find(|part| !part.is_empty()).unwrap_or_default();
    signature.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').count() * 3 / 4
}

/// What the identity point verifies for every message: R is the identity, S is 0.
fn identity_signature() -> Vec<u8> {
    let mut signature = vec![0; 64];
    signature[0] = 1;
    signature
}

fn set(members: &mut Vec<(String, String)>, name: &str, value: String) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => members.push((name.to_owned(), value)),
    }
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}
