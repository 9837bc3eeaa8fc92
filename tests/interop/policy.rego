# Who may do what with orders, by the claims, the method and the path that the gate sends.
package shop

default allow := false

# What is below /orders/ada, ada reads.
allow if {
	input.method == "GET"
	["orders", owner, _] = split(trim_prefix(input.path, "/"), "/")
	owner == input.claims.sub
}

# Clerks do everything with everyone's orders.
allow if {
	startswith(input.path, "/orders/")
	"clerk" in input.claims.roles
}

# No answer at all but for clerks.
for_clerks if "clerk" in input.claims.roles
