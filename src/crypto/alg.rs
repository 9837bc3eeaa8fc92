//! The signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864).

use std::fmt;

macro_rules! algorithms {
    ($($name:ident $text:literal)*) => {
        /// A signature algorithm by its JOSE name. `none` is not one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Alg { $($name,)* }

        impl Alg {
            /// Every algorithm.
            pub const ALL: &'static [Alg] = &[$(Alg::$name,)*];

            /// The name in `alg`.
            pub const fn name(self) -> &'static str {
                match self { $(Alg::$name => $text,)* }
            }

            /// The algorithm of that name; names are case-sensitive (RFC 7515 section 4.1.1).
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Alg::$name),)* _ => None }
            }
        }
    };
}

algorithms! {
    Rs256 "RS256" Rs384 "RS384" Rs512 "RS512"
    Ps256 "PS256" Ps384 "PS384" Ps512 "PS512"
    Es256 "ES256" Es384 "ES384" Es512 "ES512"
    EdDsa "EdDSA" Ed25519 "Ed25519"
    Hs256 "HS256" Hs384 "HS384" Hs512 "HS512"
}

impl Alg {
    /// Whether whoever checks signatures of this algorithm can also make them.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// Whether both name the same algorithm: `Ed25519` is what `EdDSA` means with such a key (RFC 9864 section 2.2).
    pub fn same_as(self, other: Self) -> bool {
        let plain = |alg| {
            if alg == Self::EdDsa {
                Self::Ed25519
            } else {
                alg
            }
        };
        plain(self) == plain(other)
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_algorithm_and_none_is_not_one() {
        for &alg in Alg::ALL {
            assert_eq!(Alg::from_name(alg.name()), Some(alg));
        }
        for name in ["none", "None", "", "rs256", "RS256 ", "ES256K", "Ed448"] {
            assert_eq!(Alg::from_name(name), None, "{name}");
        }
    }
}
