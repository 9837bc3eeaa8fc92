//! `requires`.

use super::cursor::Cursor;
use super::values::one_of;
use super::ConfigError;
use crate::policy::{Leaf, Provider, Required, Requirement};

const FORMS: &[&str] = &[
    "provider_name",
    "provider_and_audiences",
    "requires_any",
    "requires_all",
    "allow_missing",
    "allow_missing_or_failed",
    "extract_only_without_validation",
];

/// A token of any provider.
pub(super) fn any_of_all(providers: &[Provider]) -> Required {
    Required::new(Requirement::Any(leaves(providers).collect()), providers)
}

/// Reads a requirement.
pub(super) fn read(cursor: &Cursor<'_>, providers: &[Provider]) -> Result<Required, ConfigError> {
    let requirement = read_within(cursor, providers)?;
    let requirement = match requirement {
        Requirement::AllowMissing | Requirement::AllowMissingOrFailed => beside_every_provider(requirement, providers),
        other => other,
    };
    Ok(Required::new(requirement, providers))
}

fn read_within(cursor: &Cursor<'_>, providers: &[Provider]) -> Result<Requirement, ConfigError> {
    let object = cursor.object("requires")?;
    let (form, inner) = object.exactly_one(FORMS)?;
    Ok(match form {
        "provider_name" => Requirement::Provider(Leaf { provider: provider(inner, providers)?, audiences: None }),
        "provider_and_audiences" => {
            let object = inner.object("provider_and_audiences")?;
            let provider = provider(object.required("provider_name")?, providers)?;
            Requirement::Provider(Leaf { provider, audiences: Some(object.required("audiences")?.texts()?) })
        }
        "extract_only_without_validation" => {
            return Err(inner.error("lets every request pass, which only \"semantics: jwt_authn\" does; \"allow_missing_or_failed\" is much the same"));
        }
        "requires_any" => {
            let mut children = children(inner, providers)?;
            // Beside nothing but each other, they speak of the tokens of every provider.
            if children
                .iter()
                .all(|child| matches!(child, Requirement::AllowMissing | Requirement::AllowMissingOrFailed))
            {
                children.extend(leaves(providers));
            }
            Requirement::Any(children)
        }
        "requires_all" => {
            let expand = |child| match child {
                Requirement::AllowMissing | Requirement::AllowMissingOrFailed => {
                    beside_every_provider(child, providers)
                }
                other => other,
            };
            Requirement::All(children(inner, providers)?.into_iter().map(expand).collect())
        }
        _ => {
            inner.object("empty")?;
            if form == "allow_missing" {
                Requirement::AllowMissing
            } else {
                Requirement::AllowMissingOrFailed
            }
        }
    })
}

fn children(cursor: &Cursor<'_>, providers: &[Provider]) -> Result<Vec<Requirement>, ConfigError> {
    let list = cursor.object("requirement_list")?;
    list.required("requirements")?.elements()?.iter().map(|child| read_within(child, providers)).collect()
}

/// A missing token may only be allowed where tokens are looked for.
fn beside_every_provider(requirement: Requirement, providers: &[Provider]) -> Requirement {
    Requirement::Any(leaves(providers).chain([requirement]).collect())
}

fn leaves(providers: &[Provider]) -> impl Iterator<Item = Requirement> + use<'_> {
    (0..providers.len()).map(|provider| Requirement::Provider(Leaf { provider, audiences: None }))
}

fn provider(cursor: &Cursor<'_>, providers: &[Provider]) -> Result<usize, ConfigError> {
    let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    one_of(cursor, "provider", &names)
}
