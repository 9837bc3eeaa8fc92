//! `cel`: an expression of the Common Expression Language about the claims of a token and the request that shows it.
//!
//! The expression is the operator's; what it is about is anybody's. So whatever fails denies: a claim that is absent or of another
//! type, a part of the request that is not [certain](crate::request::certain), an overflow. And what it may cost is known before it
//! is evaluated: [`check`] lets no function through that could take long or panic, and counts the rest.

mod check;
mod values;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::parser::PrattParser;
use cel::{Context, Env, IdedExpr, Value};

use super::Principal;
use crate::limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NODES, MAX_EXPRESSION_STEPS};
use crate::request::{ParameterName, RequestHead};
use crate::verdict::HeaderName;

use check::{Checked, Problem, Uses};
use values::Variables;

/// One expression, compiled.
#[derive(Clone)]
pub struct Expression(Rc<Compiled>);

struct Compiled {
    root: IdedExpr,
    functions: Arc<Env>,
    checked: Checked,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it and where, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(format!("is longer than {MAX_EXPRESSION_BYTES} bytes"));
        }
        let parser = PrattParser::new()
            .max_recursion_depth(MAX_EXPRESSION_DEPTH)
            .max_expression_node_count(MAX_EXPRESSION_NODES);
        let root = parser.parse(text).map_err(|errors| problem(&errors))?;
        let checked = check::check(&root).map_err(|problem| problem.located(text))?;
        Ok(Self(Rc::new(Compiled { root, functions: Arc::new(Env::stdlib()), checked })))
    }

    /// Whether it is true of this request of this caller; anything else, an error too, is no.
    pub fn holds(&self, head: &RequestHead, caller: &Principal) -> bool {
        self.result(head, caller).unwrap_or(false)
    }

    /// The headers that it asks for.
    pub fn headers(&self) -> &[HeaderName] {
        &self.uses().headers
    }

    /// The parameters of the query that it asks for.
    pub fn parameters(&self) -> &[ParameterName] {
        &self.uses().parameters
    }

    /// A problem of a header or parameter that it asks for, with line and column of the name in its text.
    pub fn located(text: &str, name: &str, problem: String) -> String {
        Problem::new(problem, name).located(text)
    }

    fn uses(&self) -> &Uses {
        &self.0.checked.uses
    }

    fn result(&self, head: &RequestHead, caller: &Principal) -> Option<bool> {
        let Compiled { root, functions, checked } = &*self.0;
        let variables = Variables::new(&checked.uses, head, caller.verified().claims())?;
        if checked.steps(variables.size()) > MAX_EXPRESSION_STEPS {
            return None;
        }
        let mut context = Context::with_env(Arc::clone(functions));
        context.set_variable_resolver(&variables);
        let result = Value::resolve_val(root, &context).ok()?;
        result.downcast_ref::<CelBool>().map(|holds| *holds.inner())
    }
}

/// Prints nothing of the expression, which may be long.
impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expression")
    }
}

/// The first error of the parser, on one line.
fn problem(errors: &cel::ParseErrors) -> String {
    let errors = &errors.errors;
    // This bound makes errors of what stands where it is reached.
    if errors.iter().any(|error| error.msg.starts_with("expression recursion limit")) {
        return format!("is deeper than {MAX_EXPRESSION_DEPTH} levels");
    }
    let located = errors.iter().find(|error| error.pos.0 > 0);
    let Some(error) = located.or(errors.first()) else { return "no expression".into() };
    let (line, column) = error.pos;
    let text = error.msg.lines().next().unwrap_or_default();
    if line > 0 {
        format!("line {line}, column {column}: {text}")
    } else {
        text.to_owned()
    }
}
