//! Attacks by name, each against the gate's own semantics with everything else as it should be: what is forged is signed by the
//! right key wherever the attack leaves that possible, so that nothing but the attack can be the reason of the refusal.

mod paths;
