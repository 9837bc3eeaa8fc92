"""Keys and tokens by joserfc: a key of each type and curve. Takes the claims as JSON, prints the key set and the tokens."""

import json
import sys

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

rsa = RSAKey.generate_key(2048)
keys = {alg: rsa for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")}
keys |= {"ES256": ECKey.generate_key("P-256"), "ES384": ECKey.generate_key("P-384"), "ES512": ECKey.generate_key("P-521")}
keys["EdDSA"] = keys["Ed25519"] = OKPKey.generate_key("Ed25519")
for key in keys.values():
    key.ensure_kid()

claims = json.loads(sys.argv[1])
tokens = {alg: jwt.encode({"alg": alg, "kid": key.kid}, claims, key, algorithms=[alg]) for alg, key in keys.items()}
published = KeySet(list({key.kid: key for key in keys.values()}.values())).as_dict(private=False)
print(json.dumps({"jwks": published, "tokens": tokens}))
