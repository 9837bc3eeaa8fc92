//! What the module asks a host to have, and what it gives: a name more than these, and some host does not load it.

use std::collections::BTreeSet;

use jwt_gate_second_host::module_bytes;
use wasmparser::{Parser, Payload};

/// From `env`, as the ABI has them since 0.2.0. `proxy_get_log_level` is not among them: `ngx_wasm_module` has none.
const ABI: [&str; 20] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// From `wasi_snapshot_preview1`: those that hosts of the ABI have. No files, no sockets, no clock.
const WASI: [&str; 5] = ["environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"];

#[test]
fn the_module_imports_what_every_host_has_and_nothing_else() {
    assert_imports(&module_bytes("jwt_gate"));
}

#[test]
fn the_module_is_no_larger_than_it_may_be() {
    let size = module_bytes("jwt_gate").len();
    assert!(size <= 3 * 512 * 1024, "{size} bytes, and every VM of Envoy keeps a copy");
}

#[test]
fn the_module_with_expressions_imports_the_same() {
    assert_imports(&module_bytes("jwt_gate_cel"));
}

fn assert_imports(module: &[u8]) {
    let mut imports = BTreeSet::new();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("a module") {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.expect("an import");
                    imports.insert((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.expect("an export").name.to_owned()));
            }
            _ => {}
        }
    }
    let named = |module: &str, names: &[&str]| -> BTreeSet<_> {
        names.iter().map(|name| (module.to_owned(), (*name).to_owned())).collect()
    };
    let abi = named("env", &ABI);
    let allowed = &abi | &named("wasi_snapshot_preview1", &WASI);
    assert!(imports.is_subset(&allowed), "not in every host: {:?}", imports.difference(&allowed));
    assert!(imports.is_superset(&abi), "not imported any more: {:?}", abi.difference(&imports));
    for export in ["memory", "_initialize", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate"] {
        assert!(exports.contains(export), "{export} is missing: {exports:?}");
    }
}
