//! The hashes of Keycloak: two columns of its table `credential`, which the export of a realm also has.

use argon2::{Algorithm, ParamsBuilder, Version};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::StoredHash;
use super::derivation::{Derivation, Sha};
use super::encoding::base64;

/// `{"secretData":{..},"credentialData":{..}}`. Each value may also be a string that holds the object.
pub(super) fn read(text: &str) -> Option<StoredHash> {
    if !text.starts_with('{') {
        return None;
    }
    let pair: Map<String, Value> = serde_json::from_str(text).ok()?;
    let secret: Secret = part(pair.get("secretData")?)?;
    let how: Credential = part(pair.get("credentialData")?)?;
    let (salt, expected) = (base64(&secret.salt)?, base64(&secret.value)?);
    let sha = match &*how.algorithm {
        "argon2" => return argon2(&how, salt, expected),
        "pbkdf2" => Sha::Sha1,
        "pbkdf2-sha256" => Sha::Sha256,
        "pbkdf2-sha512" => Sha::Sha512,
        _ => return None,
    };
    Some(StoredHash::of(Derivation::Pbkdf2 {
        sha,
        iterations: how.hash_iterations,
        salt,
        expected,
    }))
}

#[derive(Deserialize)]
struct Secret {
    value: String,
    salt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    hash_iterations: u32,
    algorithm: String,
    #[serde(default)]
    additional_parameters: Map<String, Value>,
}

impl Credential {
    /// The first of the values with this name.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.additional_parameters.get(name)?.get(0)?.as_str()
    }
}

fn part<T: for<'a> Deserialize<'a>>(value: &Value) -> Option<T> {
    match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        value => T::deserialize(value).ok(),
    }
}

fn argon2(how: &Credential, salt: Vec<u8>, expected: Vec<u8>) -> Option<StoredHash> {
    let mut params = ParamsBuilder::new();
    params
        .m_cost(how.parameter("memory")?.parse().ok()?)
        .t_cost(how.hash_iterations)
        .p_cost(how.parameter("parallelism")?.parse().ok()?)
        .output_len(expected.len());
    Some(StoredHash::of(Derivation::Argon2 {
        algorithm: match how.parameter("type")? {
            "id" => Algorithm::Argon2id,
            "i" => Algorithm::Argon2i,
            "d" => Algorithm::Argon2d,
            _ => return None,
        },
        version: match how.parameter("version")? {
            "1.3" => Version::V0x13,
            "1.0" => Version::V0x10,
            _ => return None,
        },
        params: params.build().ok()?,
        salt,
        expected,
    }))
}
