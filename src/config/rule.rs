//! `rules`, `requirement_map` and `filter_state_rules`.

use super::cursor::{Cursor, Object};
use super::source::Sources;
use super::template::Own;
use super::values::{one_of, Reading};
use super::{authorize, requirement, route_match, service, ConfigError};
use crate::policy::{Authorize, Enforcement, FilterStateRules, Provider, Required, Rule};
use crate::request::Routes;

/// Requirements that have a name: `requirement_map`.
pub(super) struct Named<R>(Vec<(String, R)>);

/// Reads all rules, and what of them is enforced.
pub(super) fn all(
    root: &Object<'_>,
    named: &Named<Required>,
    providers: &[Provider],
    sources: &mut Sources<'_>,
) -> Result<(Routes, Vec<Rule>, Enforcement), ConfigError> {
    let (mut matches, mut rules, mut enforced) = (Vec::new(), Vec::new(), Vec::new());
    let default = root.flag("enforce", true)?;
    let own = Own { providers, response_headers: service::all_response_headers(root)? };
    if let Some(cursor) = root.get("rules") {
        for element in cursor.elements()? {
            let object = element.object("rule")?;
            matches.push(route_match::read(object.required("match")?, Reading::Gate)?);
            rules.push(rule(&object, named, &own, sources)?);
            enforced.push(object.flag("enforce", default)?);
        }
    }
    Ok((Routes::new(matches), rules, Enforcement::new(default, enforced)))
}

/// Reads `filter_state_rules`.
pub(super) fn filter_state(
    root: &Object<'_>,
    providers: &[Provider],
) -> Result<Option<FilterStateRules<Required>>, ConfigError> {
    root.get("filter_state_rules")
        .map(|cursor| FilterStateRules::read(cursor, |r| requirement::read(r, providers)))
        .transpose()
}

impl<R: Clone> Named<R> {
    /// Reads `requirement_map`.
    pub fn read(root: &Object<'_>, read: impl Fn(&Cursor<'_>) -> Result<R, ConfigError>) -> Result<Self, ConfigError> {
        let entries = root.get("requirement_map").map_or(Ok(Vec::new()), Cursor::entries)?;
        let one = |(name, cursor): (&str, Cursor<'_>)| Ok((name.to_owned(), read(&cursor)?));
        entries.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// The requirement of that name.
    pub fn get(&self, cursor: &Cursor<'_>) -> Result<R, ConfigError> {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let index = one_of(cursor, "requirement", &names)?;
        self.0.get(index).map(|(_, requirement)| requirement.clone()).ok_or_else(|| cursor.error("unknown requirement"))
    }
}

impl<R> FilterStateRules<R> {
    /// Reads `filter_state_rules`.
    pub(super) fn read(
        cursor: &Cursor<'_>,
        read: impl Fn(&Cursor<'_>) -> Result<R, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let object = cursor.object("filter_state_rules")?;
        let entries = object.get("requires").map_or(Ok(Vec::new()), Cursor::entries)?;
        let mut requires: Vec<(String, R)> = Vec::new();
        for (value, cursor) in entries {
            let entry = (value.to_owned(), read(&cursor)?);
            let place = requires.partition_point(|(known, _)| known.as_str() < value);
            requires.insert(place, entry);
        }
        Ok(Self { name: object.required("name")?.text()?.to_owned(), requires })
    }
}

fn rule(
    object: &Object<'_>,
    named: &Named<Required>,
    own: &Own<'_>,
    sources: &mut Sources<'_>,
) -> Result<Rule, ConfigError> {
    let public = object.flag("public", false)?;
    let requires = object.at_most_one(&["requires", "requirement_name"])?;
    if let (true, Some(cursor)) = (public, object.get("enforce")) {
        return Err(cursor.error("cannot stand beside \"public: true\": nobody is refused there"));
    }
    match (public, requires, object.get("authorize")) {
        (true, Some((_, cursor)), _) => Err(cursor.error("cannot stand beside \"public: true\"")),
        (true, None, Some(cursor)) => {
            Err(cursor.error("cannot stand beside \"public: true\": nobody is authenticated there"))
        }
        (true, None, None) => Ok(Rule::Public),
        (false, None, _) => Err(object.error("needs \"requires\", or \"public: true\" to let everyone in")),
        (false, Some((form, requires)), authorize) => {
            let requirement =
                if form == "requires" { requirement::read(requires, own.providers)? } else { named.get(requires)? };
            let authorize =
                authorize.map_or(Ok(Authorize::default()), |cursor| authorize::read(cursor, own, sources))?;
            Ok(Rule::Protected(requirement, authorize))
        }
    }
}
