//! The module, changed for a test as another build of it would be, byte by byte: so nothing has to be built.

/// The callback that is asked about each request.
const CALLBACK: &[u8] = b"proxy_on_request_headers";

/// Sections of a module by their numbers.
const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// The same module in other bytes, which is another version to a host. `name` tells versions apart.
pub fn version(module: &[u8], name: &str) -> Vec<u8> {
    let custom = [&leb(name.len())[..], name.as_bytes()].concat();
    [module, &[CUSTOM], &leb(custom.len()), &custom].concat()
}

/// The module with a trap in it: at a request of more than `most` headers, which is the second argument of its callback.
pub fn trapping(module: &[u8], most: u8) -> Vec<u8> {
    assert!(most < 64, "one byte of a signed number");
    let (magic, mut rest) = module.split_at(8);
    let mut sections = Vec::new();
    while let Some((&id, body)) = rest.split_first() {
        rest = body;
        let size = number(&mut rest);
        let (body, next) = rest.split_at(size);
        sections.push((id, body.to_vec()));
        rest = next;
    }
    let place = |id| sections.iter().position(|(known, _)| *known == id).expect("a module has this section");
    let [imports, functions, exports, code] = [IMPORTS, FUNCTIONS, EXPORTS, CODE].map(place);

    // What a Rust module imports are functions; its own are counted on from there.
    let imported = number(&mut &sections[imports].1[..]);
    let mut types = &sections[functions].1[..];
    let own: Vec<usize> = (0..number(&mut types)).map(|_| number(&mut types)).collect();

    // The export leads to a new function.
    let names = &sections[exports].1;
    let start = names.windows(CALLBACK.len()).position(|window| window == CALLBACK).expect("it is exported");
    let (before, mut after) = names.split_at(start + CALLBACK.len() + 1);
    let callback = number(&mut after);
    sections[exports].1 = [before, &leb(imported + own.len()), after].concat();

    // `if (headers > most) unreachable; return callback(context, headers, end);`
    let check = [0, 0x20, 1, 0x41, most, 0x4b, 0x04, 0x40, 0x00, 0x0b];
    let call = [&[0x20, 0, 0x20, 1, 0x20, 2, 0x10][..], &leb(callback), &[0x0b]].concat();
    let function = [&check[..], &call].concat();
    append(&mut sections[functions].1, &leb(own[callback - imported]));
    append(&mut sections[code].1, &[&leb(function.len())[..], &function].concat());

    sections
        .into_iter()
        .fold(magic.to_vec(), |module, (id, body)| [&module[..], &[id], &leb(body.len()), &body].concat())
}

/// Adds an item to a vector of a module.
fn append(vector: &mut Vec<u8>, item: &[u8]) {
    let mut items = &vector[..];
    let count = number(&mut items);
    *vector = [&leb(count + 1)[..], items, item].concat();
}

/// Reads a number in LEB128.
fn number(input: &mut &[u8]) -> usize {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = input.split_first().expect("a number ends");
        *input = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
