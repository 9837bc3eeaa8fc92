"""Keys and tokens by PyJWT, which names no key unless it is told to: so the gate has to find the one that fits.

Takes the claims as JSON, prints the key set and the tokens.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

keys = {alg: rsa.generate_private_key(65537, 2048) for alg in ("RS256", "PS256")}
keys |= {alg: keys[alg[:2] + "256"] for alg in ("RS384", "RS512", "PS384", "PS512")}
curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
keys |= {alg: ec.generate_private_key(curve) for alg, curve in curves.items()}
keys["EdDSA"] = ed25519.Ed25519PrivateKey.generate()

claims = json.loads(sys.argv[1])
tokens = {alg: jwt.encode(claims, key, algorithm=alg) for alg, key in keys.items()}
published = [json.loads(jwt.get_algorithm_by_name(alg).to_jwk(keys[alg].public_key())) for alg in
             ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")]
print(json.dumps({"jwks": {"keys": published}, "tokens": tokens}))
