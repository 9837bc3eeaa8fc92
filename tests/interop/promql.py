"""Queries of Prometheus by a parser that others wrote, which also knows what each function takes.

Takes a list of queries as JSON, and prints for each its tree, or why it is none. A selector is a leaf; whatever has operands, an
operator too, is a call.
"""

import json
import sys

from promql_parser import (
    AggModifierType, AggregateExpr, BinaryExpr, Call, MatchOp, MatrixSelector, NumberLiteral, ParenExpr, VectorSelector, parse,
)

# The type has no hash, so this is no table.
OPERATORS = [(MatchOp.Equal, "="), (MatchOp.NotEqual, "!=")]


def tree(query):
    match query:
        case ParenExpr():
            return tree(query.expr)
        case NumberLiteral():
            return {}
        case AggregateExpr(param=None):
            return {"call": str(query.op), "args": [tree(query.expr)], "by": by(query.modifier)}
        case Call():
            return {"call": query.func.name, "args": [tree(arg) for arg in query.args], "by": []}
        case BinaryExpr(modifier=None):
            return {"call": str(query.op), "args": [tree(query.lhs), tree(query.rhs)], "by": []}
        case MatrixSelector(vector_selector=selector) | (VectorSelector() as selector) if selector.name:
            return {"metric": selector.name, "matchers": matchers(selector.matchers)}
    raise ValueError(f"the tests know no {type(query).__name__} like this: {query}")


def by(modifier):
    if modifier and modifier.type != AggModifierType.By:
        raise ValueError("the tests know no aggregation but by labels")
    return modifier.labels if modifier else []


def matchers(found):
    signs = [[sign for op, sign in OPERATORS if op == one.op] for one in found.matchers]
    if found.or_matchers or not all(signs):
        raise ValueError("the tests know no matchers but = and !=")
    return [[one.name, sign, one.value] for one, [sign] in zip(found.matchers, signs)]


def answer(query):
    try:
        return tree(parse(query))
    except ValueError as error:
        return {"error": str(error)}


print(json.dumps([answer(query) for query in json.loads(sys.argv[1])]))
