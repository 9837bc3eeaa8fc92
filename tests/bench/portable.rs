//! The portable signature checks in V8, where they run: `tests/bench/portable.mjs` calls them, and `make bench-core` that.

#![cfg(target_arch = "wasm32")]

use std::cell::OnceCell;
use std::hint::black_box;
use std::rc::Rc;

use jwt_gate::crypto::{Alg, CryptoProvider, Portable, PublicKey};
use jwt_gate::jose::{self, CompactJws, JoseHeader};
use jwt_gate::keys::{Key, KeySet, Origin, Selection};

/// RFC 7515 appendix A.2.
const RS256: (&str, &str) = (
    r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC\
    4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQ\
    jbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEs\
    qtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);

/// RFC 7515 appendix A.3.
const ES256: (&str, &str) = (
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.Dt\
    EhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);

/// More keys than an issuer publishes.
const CROWD: u8 = 100;

thread_local! {
    static CHECKS: OnceCell<(Check, Vec<PublicKey>)> = const { OnceCell::new() };
}

/// A token, and the key that the gate would choose for it.
struct Check {
    token: &'static str,
    key: Rc<Key>,
}

impl Check {
    fn of((jwk, token): (&str, &'static str)) -> Option<Self> {
        let set = KeySet::parse(format!("{{\"keys\":[{jwk}]}}").as_bytes(), Origin::Local).ok()?;
        let header = JoseHeader::parse(&CompactJws::parse(token.as_bytes()).ok()?).ok()?;
        let Selection::Keys(keys) = set.select(header.kid.as_deref(), header.alg) else { return None };
        Some(Self { token, key: Rc::clone(keys.first()?) })
    }

    fn holds(&self, crypto: &[Box<dyn CryptoProvider>]) -> Option<bool> {
        let jws = CompactJws::parse(black_box(self.token.as_bytes())).ok()?;
        let header = JoseHeader::parse(&jws).ok()?;
        Some(jose::verify(&jws, &header, &[&self.key], crypto).is_ok())
    }
}

/// Keys of other points that came before.
fn crowd() -> Vec<PublicKey> {
    let key = |number: u8| {
        let secret = p256::ecdsa::SigningKey::from_slice(&[number; 32]).expect("a scalar");
        let point = secret.verifying_key().to_sec1_bytes();
        PublicKey::ec("P-256", &point[1..33], &point[33..]).expect("a curve").expect("a point")
    };
    let keys: Vec<PublicKey> = (1..CROWD).map(key).collect();
    // The first check prepares a key, whatever comes of it.
    for key in &keys {
        assert_eq!(Portable.verify(key, Alg::Es256, b"message", &[1; 64]), Some(false));
    }
    keys
}

/// Checks the token of RS256 (0), of ES256 (1), or of ES256 with the last of many keys (2) so many times; how often it held. An instance
/// is for one of them.
#[no_mangle]
pub extern "C" fn check(which: u32, times: u32) -> u32 {
    let crypto: Vec<Box<dyn CryptoProvider>> = vec![Box::new(Portable)];
    CHECKS.with(|checks| {
        let (check, _) = checks.get_or_init(|| {
            let before = if which == 2 { crowd() } else { Vec::new() };
            (Check::of(if which == 0 { RS256 } else { ES256 }).expect("a token and its key"), before)
        });
        (0..times).map(|_| u32::from(check.holds(&crypto) == Some(true))).sum()
    })
}
