//! What an expression may hold, what it asks for, and what it costs.
//!
//! A step is one part of an expression, evaluated once. What stands in a comprehension (`exists`, `all`, `map` and the like) is
//! evaluated for each value that it goes through, and goes through claims, a list of the expression or a filter of either: so never
//! through more values than there are. Nothing that goes through a list or a text as a whole is as cheap: it counts once more for
//! each of those values, by an eighth.

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};
use cel::IdedExpr;

use crate::limits::{MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NODES};
use crate::request::ParameterName;
use crate::verdict::HeaderName;

/// The most comprehensions within each other.
const MAX_NESTED: usize = 2;

/// Functions, with whether they are called on a value, and with how many arguments.
const FUNCTIONS: &[(&str, bool, usize)] = &[
    ("size", false, 1),
    ("size", true, 0),
    ("contains", true, 1),
    ("startsWith", true, 1),
    ("endsWith", true, 1),
    ("string", false, 1),
    ("int", false, 1),
    ("uint", false, 1),
    ("double", false, 1),
];

/// What the parser makes of `exists` and the like names its variables and its operators so; nobody can write it.
const MADE: char = '@';

/// An expression that may be evaluated.
pub struct Checked {
    /// What it asks for.
    pub uses: Uses,
    cost: Cost,
}

/// What is to be prepared for each request.
#[derive(Default)]
pub struct Uses {
    /// `claims` as a whole, or by a name that is not fixed.
    pub all_claims: bool,
    /// `claims.NAME`.
    pub claims: Vec<String>,
    /// `request.method`.
    pub method: bool,
    /// `request.path`.
    pub path: bool,
    /// `request.host`.
    pub host: bool,
    /// `request.headers["NAME"]`.
    pub headers: Vec<HeaderName>,
    /// `request.query["NAME"]`.
    pub parameters: Vec<ParameterName>,
}

/// How often parts are evaluated, by the number of comprehensions around them.
#[derive(Default)]
struct Cost {
    parts: [u64; MAX_NESTED + 1],
    /// Those that go through a list or a text as a whole.
    long: [u64; MAX_NESTED + 1],
    /// By how many times a value can become longer than what it is made of.
    growth: u64,
    longest_list: u64,
}

/// What cannot be in an expression, and the word by which it can be found there.
pub struct Problem {
    text: String,
    word: String,
}

struct Checker {
    uses: Uses,
    cost: Cost,
    /// The variables of the comprehensions around the part.
    bound: Vec<String>,
    parts: usize,
    depth: u16,
    /// Within what a comprehension goes through.
    in_range: bool,
}

/// Checks an expression.
pub fn check(root: &IdedExpr) -> Result<Checked, Problem> {
    let (uses, cost) = Default::default();
    let mut checker = Checker { uses, cost, bound: Vec::new(), parts: 0, depth: 0, in_range: false };
    checker.part(root, 0)?;
    Ok(Checked { uses: checker.uses, cost: checker.cost })
}

impl Checked {
    /// The most steps that it takes with variables of so many values.
    pub fn steps(&self, values: u64) -> u64 {
        let Cost { parts, long, growth, longest_list } = &self.cost;
        let values = values.max(*longest_list).max(1);
        let whole = values.saturating_mul(growth.saturating_add(1)).div_ceil(8);
        let (mut steps, mut times) = (0_u64, 1_u64);
        for (parts, long) in parts.iter().zip(long) {
            let once = parts.saturating_add(long.saturating_mul(whole));
            steps = steps.saturating_add(once.saturating_mul(times));
            times = times.saturating_mul(values);
        }
        steps
    }
}

impl Problem {
    /// A problem of what is called so.
    pub fn new(text: impl Into<String>, word: &str) -> Self {
        Self { text: text.into(), word: word.to_owned() }
    }

    /// With line and column of the first place where it can be.
    pub fn located(&self, source: &str) -> String {
        let found = place_of(&self.word, source);
        let Some(before) = found.and_then(|at| source.get(..at)) else { return self.text.clone() };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", self.text)
    }
}

/// Where a word stands in an expression by itself, or else within another one.
fn place_of(word: &str, source: &str) -> Option<usize> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let is_by_itself = |at: usize| {
        let (before, behind) = (source.get(..at), source.get(at + word.len()..));
        let joins = |end: char, other: Option<char>| is_of_name(end) && other.is_some_and(is_of_name);
        let (first, last) = (word.chars().next()?, word.chars().next_back()?);
        let is_joined = joins(first, before?.chars().next_back()) || joins(last, behind?.chars().next());
        (!is_joined).then_some(at)
    };
    let mut places = source.match_indices(word).map(|(at, _)| at);
    let first = places.clone().next().filter(|_| !word.is_empty());
    places.find_map(is_by_itself).filter(|_| !word.is_empty()).or(first)
}

impl Checker {
    fn part(&mut self, part: &IdedExpr, level: usize) -> Result<(), Problem> {
        if self.depth >= MAX_EXPRESSION_DEPTH {
            return Err(Problem::new(format!("is deeper than {MAX_EXPRESSION_DEPTH} levels"), ""));
        }
        self.parts += 1;
        if self.parts > MAX_EXPRESSION_NODES {
            return Err(Problem::new(format!("has more than {MAX_EXPRESSION_NODES} parts"), ""));
        }
        self.depth += 1;
        count(&mut self.cost.parts, level);
        let result = match &part.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select, level),
            Expr::Call(call) => self.call(call, level),
            Expr::List(list) => {
                self.cost.longest_list = self.cost.longest_list.max(list.elements.len() as u64);
                self.elements(list.elements.iter(), level)
            }
            Expr::Map(map) => {
                self.cost.longest_list = self.cost.longest_list.max(map.entries.len() as u64);
                let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                    EntryExpr::StructField(_) => None,
                });
                self.elements(entries.flatten(), level)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, level),
            Expr::Struct(message) => Err(Problem::new("there are no messages here", &message.type_name)),
            Expr::Unspecified => Err(Problem::new("no expression", "")),
        };
        self.depth -= 1;
        result
    }

    fn variable(&mut self, name: &str) -> Result<(), Problem> {
        match name {
            _ if self.bound.iter().any(|bound| bound == name) => Ok(()),
            "claims" => {
                self.uses.all_claims = true;
                Ok(())
            }
            "request" => Err(Problem::new(REQUEST, "request")),
            _ => Err(Problem::new(format!("unknown variable \"{name}\"; there are \"claims\" and \"request\""), name)),
        }
    }

    fn select(&mut self, select: &SelectExpr, level: usize) -> Result<(), Problem> {
        let field = &select.field;
        match &select.operand.expr {
            Expr::Ident(name) if self.is_free(name, "claims") => {
                add(&mut self.uses.claims, field);
                Ok(())
            }
            Expr::Ident(name) if self.is_free(name, "request") => {
                match field.as_str() {
                    "method" => self.uses.method = true,
                    "path" => self.uses.path = true,
                    "host" => self.uses.host = true,
                    _ => return Err(Problem::new(REQUEST, "request")),
                }
                Ok(())
            }
            operand => match self.part_of_request(operand) {
                Some(part) => self.name_in_request(part, field),
                None => self.part(&select.operand, level),
            },
        }
    }

    fn call(&mut self, call: &CallExpr, level: usize) -> Result<(), Problem> {
        let CallExpr { func_name, target, args } = call;
        match (func_name.as_str(), target, args.as_slice()) {
            (op::INDEX, None, [container, key]) => {
                if let Some(result) = self.named(container, key) {
                    return result;
                }
                if !matches!(&key.expr, Expr::Literal(LiteralValue::String(_) | LiteralValue::Int(_))) {
                    count(&mut self.cost.long, level);
                }
            }
            (op::IN, None, [key, container]) => {
                if let Some(result) = self.named(container, key) {
                    return result;
                }
                if !is_small(container) {
                    count(&mut self.cost.long, level);
                }
            }
            (op::ADD, None, [sum, next]) => {
                if !is_made(sum) {
                    if self.in_range {
                        return Err(Problem::new(RANGE, "+"));
                    }
                    self.cost.growth += 1;
                }
                // A counter, or a list that grows in place.
                if !is_made(sum) || !self.is_light(next) {
                    count(&mut self.cost.long, level);
                }
            }
            (op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, None, [_, _]) => {
                count(&mut self.cost.long, level);
            }
            (
                op::EQUALS | op::NOT_EQUALS | op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                if !is_small(left) && !is_small(right) {
                    count(&mut self.cost.long, level);
                }
            }
            (op::LOGICAL_AND | op::LOGICAL_OR, None, [_, _])
            | (op::LOGICAL_NOT | op::NEGATE | op::NOT_STRICTLY_FALSE, None, [_])
            | (op::CONDITIONAL, None, [_, _, _]) => {}
            (name, target, args) => {
                let known = FUNCTIONS.iter().filter(|(known, ..)| *known == name);
                if known.clone().next().is_none() {
                    return Err(Problem::new(format!("there is no function \"{name}\" here"), name));
                }
                if !known.into_iter().any(|(_, on_value, count)| *on_value == target.is_some() && *count == args.len())
                {
                    return Err(Problem::new(format!("\"{name}\" is called in another way"), name));
                }
                if !args.iter().all(is_small) {
                    count(&mut self.cost.long, level);
                }
            }
        }
        target.iter().map(|target| &**target).chain(args).try_for_each(|part| self.part(part, level))
    }

    /// Each that is no literal is copied; all values that a comprehension goes through are together no longer than the claims.
    fn elements<'e>(&mut self, elements: impl Iterator<Item = &'e IdedExpr>, level: usize) -> Result<(), Problem> {
        for element in elements {
            if !self.is_light(element) {
                self.cost.growth += 1;
                count(&mut self.cost.long, level);
            }
            self.part(element, level)?;
        }
        Ok(())
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr, level: usize) -> Result<(), Problem> {
        let ComprehensionExpr { iter_range, iter_var, iter_var2, accu_var, .. } = comprehension;
        let ComprehensionExpr { accu_init, loop_cond, loop_step, result, .. } = comprehension;
        let inner = level + 1;
        if inner > MAX_NESTED {
            return Err(Problem::new(format!("more than {MAX_NESTED} comprehensions within each other"), iter_var));
        }
        if iter_var2.is_some() || matches!(iter_var.as_str(), "claims" | "request") {
            return Err(Problem::new(format!("\"{iter_var}\" is no name for a variable"), iter_var));
        }
        if self.in_range && !is_filter(comprehension) {
            return Err(Problem::new(RANGE, iter_var));
        }
        // Each value that it goes through is copied.
        count(&mut self.cost.long, level);
        let was_in_range = std::mem::replace(&mut self.in_range, true);
        let range = self.range(iter_range, level);
        self.in_range = was_in_range;
        range?;
        self.bound.push(accu_var.clone());
        self.part(accu_init, level)?;
        self.part(result, level)?;
        self.bound.push(iter_var.clone());
        let was_in_range = std::mem::replace(&mut self.in_range, false);
        self.part(loop_cond, inner)?;
        self.part(loop_step, inner)?;
        self.in_range = was_in_range;
        self.bound.truncate(self.bound.len().saturating_sub(2));
        Ok(())
    }

    /// What a comprehension goes through is no longer than the claims, or stands in the expression as it is.
    fn range(&mut self, range: &IdedExpr, level: usize) -> Result<(), Problem> {
        match &range.expr {
            Expr::List(list) if !list.elements.iter().all(is_small) => Err(Problem::new(RANGE, "[")),
            Expr::Map(map) if !map.entries.is_empty() => Err(Problem::new(RANGE, "{")),
            _ => self.part(range, level),
        }
    }

    /// `claims["NAME"]`, `request.headers["NAME"]`, `"NAME" in request.headers` and their like; `None` if it is none.
    fn named(&mut self, container: &IdedExpr, key: &IdedExpr) -> Option<Result<(), Problem>> {
        let name = match &key.expr {
            Expr::Literal(LiteralValue::String(name)) => Some(name.inner()),
            _ => None,
        };
        match &container.expr {
            Expr::Ident(variable) if self.is_free(variable, "claims") => {
                add(&mut self.uses.claims, name?);
                Some(Ok(()))
            }
            operand => {
                let part = self.part_of_request(operand)?;
                Some(match name {
                    Some(name) => self.name_in_request(part, name),
                    None => Err(Problem::new(NAMES, "request")),
                })
            }
        }
    }

    /// Whether `expr` is `request.headers` or `request.query`, and which.
    fn part_of_request(&self, expr: &Expr) -> Option<&'static str> {
        let Expr::Select(select) = expr else { return None };
        let is_request = matches!(&select.operand.expr, Expr::Ident(name) if self.is_free(name, "request"));
        let part = ["headers", "query"].into_iter().find(|part| *part == select.field);
        part.filter(|_| is_request && !select.test)
    }

    fn name_in_request(&mut self, part: &str, name: &str) -> Result<(), Problem> {
        if part == "query" {
            let parameter = ParameterName::new(name);
            if !self.uses.parameters.contains(&parameter) {
                self.uses.parameters.push(parameter);
            }
            return Ok(());
        }
        match HeaderName::new(name) {
            Some(header) if header.as_str() == name => {
                if !self.uses.headers.contains(&header) {
                    self.uses.headers.push(header);
                }
                Ok(())
            }
            Some(_) => Err(Problem::new(format!("headers are in lower case, \"{name}\" is not"), name)),
            None => Err(Problem::new(format!("\"{name}\" is not the name of a header"), name)),
        }
    }

    fn is_light(&self, part: &IdedExpr) -> bool {
        match &part.expr {
            Expr::Ident(name) => self.bound.last() == Some(name),
            Expr::List(list) => list.elements.iter().all(|element| self.is_light(element)),
            _ => is_small(part),
        }
    }

    fn is_free(&self, name: &str, variable: &str) -> bool {
        name == variable && !self.bound.iter().any(|bound| bound == name)
    }
}

const REQUEST: &str =
    "of \"request\" there are \"method\", \"path\", \"host\", and by their names \"headers\" and \"query\"";
const NAMES: &str = "headers and parameters are asked for by names that stand there: request.headers[\"x-tenant\"]";
const RANGE: &str = "what is gone through is a claim, a list of literals, or a filter of one of them";

fn count(counts: &mut [u64], level: usize) {
    if let Some(count) = counts.get_mut(level) {
        *count += 1;
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// Whether a part is a literal, or a list of literals: as long as it stands there.
fn is_small(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.iter().all(is_small),
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == op::NEGATE => args.iter().all(is_small),
        _ => false,
    }
}

fn is_made(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Ident(name) if name.starts_with(MADE))
}

/// Whether a comprehension makes a list of values that it goes through, as they are.
fn is_filter(comprehension: &ComprehensionExpr) -> bool {
    let Expr::Call(choice) = &comprehension.loop_step.expr else { return false };
    let [_, Some(step), _] = [0, 1, 2].map(|at| choice.args.get(at)) else { return false };
    let Expr::Call(sum) = &step.expr else { return false };
    let Some(Expr::List(list)) = sum.args.get(1).map(|part| &part.expr) else { return false };
    let is_value = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if *name == comprehension.iter_var);
    choice.func_name == op::CONDITIONAL && sum.func_name == op::ADD && list.elements.iter().all(is_value)
}
