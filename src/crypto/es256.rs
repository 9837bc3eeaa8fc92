//! ECDSA on P-256 (FIPS 186-5 section 6.4.2), with tables of multiples for the two points that every check multiplies: the base
//! point, and the point of the key.
//!
//! With both tables a check is 74 additions and 7 doublings, where the general way takes over 250 doublings besides. `p256` brings
//! the field, the curve, the scalars and the parsing of keys and signatures; only the order of additions is ours. Nothing
//! here is secret, so it runs in variable time.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Error, Signature, VerifyingKey};
use p256::elliptic_curve::ops::{Double, Invert, Reduce};
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{BatchNormalize, PrimeField};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use sha2::digest::Digest;
use sha2::Sha256;

use super::known::Known;

/// A key on P-256. Its table, 86 KiB, is made by the first check: most keys of a set never sign. It serves all keys of that point in
/// the VM, whichever provider or configuration has them. Forged tokens can name them all: of more than 32 points at once the others
/// have shorter ones, 23 KiB, and of more than 160 the rest 4.5 KiB, with which a check takes longer.
#[derive(Clone)]
pub struct Es256Key(Arc<Prepared>);

/// What is prepared of a point, once somebody asks for it.
struct Prepared {
    public: VerifyingKey,
    table: OnceLock<Table>,
}

static KNOWN: Known<Prepared> = Known::new();

impl Es256Key {
    /// A key from the encoding of its point (SEC 1 section 2.3.3); `None` if that is none of the curve.
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        let public = VerifyingKey::from_sec1_bytes(bytes).ok()?;
        let x = public.as_affine().x();
        let is_same = |prepared: &Prepared| prepared.public.as_affine().x() == x && prepared.public == public;
        KNOWN.find_or_make(is_same, || Ok::<_, Infallible>(Prepared { public, table: OnceLock::new() })).ok().map(Self)
    }

    /// The key as `p256` has it.
    pub fn public(&self) -> &VerifyingKey {
        &self.0.public
    }

    /// Whether `signature` holds over a message with this hash, or with one of which these are the first bits.
    pub fn holds(&self, hash: &[u8; 32], signature: &Signature) -> bool {
        let table = self.table();
        let hash = reduced(&(*hash).into());
        let (r, s) = signature.split_scalars();
        let inverse = *s.invert_vartime();
        let point = sum_of_multiples(&[(&BASE, hash * inverse), (table, *r * inverse)]);
        // r is what is left of the x-coordinate modulo the order, which is smaller than the field: as numbers they may differ.
        point != ProjectivePoint::IDENTITY && reduced(&point.to_affine().x()) == *r
    }

    fn table(&self) -> &Table {
        self.0.table.get_or_init(|| {
            let place = Place::take();
            let digits_per_row = place.as_ref().map_or(DIGITS, Place::digits_per_row);
            let point = ProjectivePoint::from(*self.0.public.as_affine());
            Table { _place: place, ..Table::of(point, digits_per_row) }
        })
    }
}

impl Verifier<Signature> for Es256Key {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Error> {
        let holds = self.holds(&Sha256::digest(message).into(), signature);
        holds.then_some(()).ok_or_else(Error::new)
    }
}

impl PartialEq for Es256Key {
    fn eq(&self, other: &Self) -> bool {
        self.public() == other.public()
    }
}

impl fmt::Debug for Es256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public().fmt(f)
    }
}

/// Bits of a digit: the scalars are written in base 128, with digits from -63 to 64.
const DIGIT_BITS: usize = 7;

/// The largest digit, so many multiples stand in a row.
const MULTIPLES: usize = 1 << (DIGIT_BITS - 1);

/// 266 bits, for a scalar of 256 and a carry.
const DIGITS: usize = 38;

/// One row of the base point's table serves so many neighbouring digits, and so do those of [`TIERS`]. A row for each would take twice
/// the memory and save 7 doublings of a check's 81 steps.
const DIGITS_PER_ROW: usize = 2;

/// How many keys at once, in one VM, have a table whose rows serve so many digits. Issuers publish a handful of keys, so the first
/// tables are the longest: 2.7 MiB in all, and 2.8 MiB those after them, whose check takes 42 doublings more. The one row of the
/// tables of all other keys serves all digits.
const TIERS: [(usize, usize); 2] = [(32, DIGITS_PER_ROW), (128, 8)];

/// How many of each there are.
static TAKEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// A place in a tier.
struct Place(usize);

impl Place {
    /// The best that is free.
    fn take() -> Option<Self> {
        let is_taken = |&tier: &usize| {
            let (most, _) = TIERS.get(tier).copied().unwrap_or_default();
            let one_more = |taken| (taken < most).then_some(taken + 1);
            TAKEN
                .get(tier)
                .is_some_and(|taken| taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok())
        };
        (0..TIERS.len()).find(is_taken).map(Self)
    }

    fn digits_per_row(&self) -> usize {
        TIERS.get(self.0).map_or(DIGITS, |&(_, digits)| digits)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.get(self.0).map(|taken| taken.fetch_sub(1, Ordering::Relaxed));
    }
}

/// The table of the base point.
static BASE: LazyLock<Table> = LazyLock::new(|| Table::of(ProjectivePoint::GENERATOR, DIGITS_PER_ROW));

/// Multiples of a point P: with two digits per row, the row `i` is `2^(14 i) P` times 1 to 64.
struct Table {
    digits_per_row: usize,
    multiples: Vec<AffinePoint>,
    _place: Option<Place>,
}

impl Table {
    fn of(mut point: ProjectivePoint, digits_per_row: usize) -> Self {
        let rows = DIGITS.div_ceil(digits_per_row);
        let mut multiples = Vec::with_capacity(rows * MULTIPLES);
        for row in 0..rows {
            if row > 0 {
                point = doubled(point, DIGIT_BITS * digits_per_row);
            }
            let mut multiple = point;
            for _ in 0..MULTIPLES {
                multiples.push(multiple);
                multiple += point;
            }
        }
        // Affine, because adding such a point costs less. One inversion serves for all.
        let multiples = ProjectivePoint::batch_normalize(multiples.as_slice());
        Self { digits_per_row, multiples, _place: None }
    }
}

/// The sum of each table's point times its scalar.
fn sum_of_multiples(terms: &[(&Table, Scalar); 2]) -> ProjectivePoint {
    let terms = terms.map(|(table, scalar)| (table, digits(&scalar)));
    let mut sum = ProjectivePoint::IDENTITY;
    let places = terms.iter().map(|(table, _)| table.digits_per_row).max().unwrap_or_default();
    for place in (0..places).rev() {
        sum = doubled(sum, DIGIT_BITS);
        for (table, digits) in terms.iter().filter(|(table, _)| place < table.digits_per_row) {
            let digits = digits.iter().skip(place).step_by(table.digits_per_row);
            for (row, &digit) in table.multiples.chunks(MULTIPLES).zip(digits) {
                let multiple = usize::from(digit.unsigned_abs()).checked_sub(1).and_then(|place| row.get(place));
                match multiple {
                    None => {}
                    Some(point) if digit > 0 => sum += point,
                    Some(point) => sum -= point,
                }
            }
        }
    }
    sum
}

/// The digits of a scalar, the least significant first.
fn digits(scalar: &Scalar) -> [i16; DIGITS] {
    let bytes = scalar.to_repr();
    let mut bytes = bytes.iter().rev();
    let (mut pending, mut available, mut carry) = (0u32, 0, 0);
    [(); DIGITS].map(|()| {
        if available < DIGIT_BITS {
            pending |= u32::from(bytes.next().copied().unwrap_or(0)) << available;
            available += 8;
        }
        let digit = (pending % (1 << DIGIT_BITS)) as i16 + carry;
        pending >>= DIGIT_BITS;
        available -= DIGIT_BITS;
        carry = i16::from(digit > MULTIPLES as i16);
        digit - (carry << DIGIT_BITS)
    })
}

fn doubled(point: ProjectivePoint, times: usize) -> ProjectivePoint {
    (0..times).fold(point, |point, _| point.double())
}

/// The scalar that the number, big-endian, leaves modulo the order.
fn reduced(bytes: &FieldBytes) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(bytes)
}

#[cfg(test)]
mod tests {
    use p256::elliptic_curve::ops::MulVartime;
    use proptest::prelude::*;

    use super::*;

    fn scalar() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(|bytes| reduced(&bytes.into())),
            // Long runs of zeros and of ones, where digits carry.
            (0..256u32, 0..256u32, any::<bool>()).prop_map(|(high, low, negative)| {
                let power = |exponent| Scalar::from(2u64).pow_vartime(&p256::U256::from(exponent));
                let run = power(high) - power(low);
                if negative {
                    -run
                } else {
                    run
                }
            }),
            (0..140u64).prop_map(Scalar::from),
            (0..140u64).prop_map(|small| -Scalar::from(small)),
        ]
    }

    fn product(point: ProjectivePoint, scalar: Scalar) -> ProjectivePoint {
        point.mul_vartime(&scalar)
    }

    fn power_of_two(exponent: usize) -> Scalar {
        Scalar::from(2u64).pow_vartime(&p256::U256::from(exponent as u64))
    }

    #[test]
    fn a_table_holds_the_multiples() {
        let point = product(ProjectivePoint::GENERATOR, Scalar::from(12_345_678_901_u64));
        for (digits_per_row, rows, most_kib) in [(DIGITS_PER_ROW, 19, 86), (8, 5, 23), (DIGITS, 1, 5)] {
            let table = Table::of(point, digits_per_row);
            assert_eq!(table.multiples.len(), rows * MULTIPLES);
            let mut first = point;
            for row in table.multiples.chunks(MULTIPLES) {
                for (multiple, count) in row.iter().zip(1u64..) {
                    assert_eq!(ProjectivePoint::from(*multiple), product(first, Scalar::from(count)));
                }
                first = product(first, power_of_two(DIGIT_BITS * digits_per_row));
            }
            assert!(std::mem::size_of_val(table.multiples.as_slice()) <= most_kib * 1024);
        }
    }

    #[test]
    fn sums_that_meet_or_cancel_are_right() {
        let generator = ProjectivePoint::GENERATOR;
        let small = [0u64, 1, 2, 31, 63, 64, 65, 127, 128, 129];
        let scalars: Vec<Scalar> = small.iter().flat_map(|&k| [Scalar::from(k), -Scalar::from(k)]).collect();
        for factor in [Scalar::ONE, -Scalar::ONE, Scalar::from(2u64), Scalar::from(1u64 << 28)] {
            let point = product(generator, factor);
            for table in [DIGITS_PER_ROW, 8, DIGITS].map(|digits| Table::of(point, digits)) {
                for (&a, &b) in scalars.iter().flat_map(|a| scalars.iter().map(move |b| (a, b))) {
                    let sum = sum_of_multiples(&[(&BASE, a), (&table, b)]);
                    assert_eq!(sum, product(generator, a + b * factor), "{a:?} {b:?} {factor:?}");
                }
            }
        }
    }

    #[test]
    fn of_many_keys_the_first_have_longer_tables_and_all_of_them_check_with_what_was_prepared_once() {
        use p256::ecdsa::signature::Signer;
        let [(most, _), (most_more, digits_of_more)] = TIERS;
        let keys = (1..=(most + most_more) as u8 + 8)
            .map(|number| p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap());
        let checked: Vec<Es256Key> = keys
            .map(|key| {
                let public = Es256Key::from_sec1(&key.verifying_key().to_sec1_bytes()).unwrap();
                for _ in 0..2 {
                    let signature: Signature = key.sign(b"message");
                    assert!(public.verify(b"message", &signature).is_ok());
                    assert!(public.verify(b"another", &signature).is_err());
                }
                public
            })
            .collect();
        assert!(checked.iter().all(|key| key.0.table.get().is_some_and(|table| std::ptr::eq(table, key.table()))));
        let of = |digits| checked.iter().filter(|key| key.table().digits_per_row == digits).count();
        // Other tests have some of them.
        assert!((1..=most).contains(&of(DIGITS_PER_ROW)) && (1..=most_more).contains(&of(digits_of_more)));
        assert!(of(DIGITS) >= 8);
        assert!(TAKEN[0].load(Ordering::Relaxed) <= most && TAKEN[1].load(Ordering::Relaxed) <= most_more);
        drop(checked);
        let next = key(9);
        assert_eq!(next.table().digits_per_row, DIGITS_PER_ROW, "those that are gone give their places back");
    }

    fn key(number: u8) -> Es256Key {
        let key = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap();
        Es256Key::from_sec1(&key.verifying_key().to_sec1_bytes()).unwrap()
    }

    #[test]
    fn keys_of_one_point_have_one_table_while_one_of_them_is_there() {
        // Points that no other test has.
        let (one, other) = (key(251), key(251));
        assert!(std::ptr::eq(one.table(), other.table()));
        assert!(!std::ptr::eq(one.table(), key(252).table()));
        drop(one);
        assert!(std::ptr::eq(other.table(), key(251).table()));
        let known = Arc::downgrade(&other.0);
        drop(other);
        assert!(known.upgrade().is_none());
    }

    proptest! {
        #[test]
        fn digits_add_up_to_their_scalar(scalar in scalar()) {
            let mut sum = Scalar::ZERO;
            for &digit in digits(&scalar).iter().rev() {
                prop_assert!((-63..=64).contains(&digit));
                let size = Scalar::from(u64::from(digit.unsigned_abs()));
                sum = sum * Scalar::from(128u64) + if digit < 0 { -size } else { size };
            }
            prop_assert_eq!(sum, scalar);
        }

        #[test]
        fn sums_of_multiples_are_those_of_the_library(a in scalar(), b in scalar(), key in scalar()) {
            prop_assume!(key != Scalar::ZERO);
            let point = product(ProjectivePoint::GENERATOR, key);
            for digits_per_row in [DIGITS_PER_ROW, 8, DIGITS] {
                let sum = sum_of_multiples(&[(&BASE, a), (&Table::of(point, digits_per_row), b)]);
                prop_assert_eq!(sum, product(ProjectivePoint::GENERATOR, a) + product(point, b));
            }
        }
    }
}
