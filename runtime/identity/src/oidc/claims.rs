//! What a provider says about a person, and how much of it is taken over.

use std::collections::HashMap;

use domain::people::is_email;
use openidconnect::core::CoreGenderClaim;
use openidconnect::{
    AdditionalClaims, EndUserEmail, EndUserName, IdTokenClaims, LocalizedClaim, SubjectIdentifier,
    UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::OidcError;

/// OpenID Connect promises no more.
const MOST_SUBJECT: usize = 255;
const MOST_NAME: usize = 200;
/// Of groups, and of the bytes of one: whoever is in more, or in longer ones, is in those first.
const MOST_GROUPS: usize = 1_000;
const MOST_GROUP: usize = 200;

/// Who a provider says somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// Names the person there for ever.
    pub subject: String,
    /// An address, if there is one that mail could have.
    pub email: Option<String>,
    /// Whether the provider has made sure that the address is the person's.
    pub email_verified: bool,
    /// As people call the person; may be empty.
    pub name: String,
    /// The names of the person's groups. `None`: nothing was asked for, or nothing is known, and
    /// memberships stay as they are.
    pub groups: Option<Vec<String>>,
}

/// Claims that the standard does not name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    #[serde(flatten)]
    claims: HashMap<String, Value>,
}

impl AdditionalClaims for Extra {}

pub(super) type IdClaims = IdTokenClaims<Extra, CoreGenderClaim>;
pub(super) type UserInfo = UserInfoClaims<Extra, CoreGenderClaim>;

/// What is known of a person so far.
pub(super) struct Facts {
    pub(super) subject: SubjectIdentifier,
    email: Option<Email>,
    name: Option<String>,
    extra: HashMap<String, Value>,
}

/// An address and the word on it are one: they come from the same place or not at all.
struct Email {
    address: String,
    verified: bool,
}

fn email(address: Option<&EndUserEmail>, verified: Option<bool>) -> Option<Email> {
    let address = address?.as_str().trim().to_owned();
    is_email(&address).then_some(Email {
        address,
        verified: verified == Some(true),
    })
}

fn name(claim: Option<&LocalizedClaim<EndUserName>>) -> Option<String> {
    let claim = claim?;
    let name = claim
        .get(None)
        .or_else(|| claim.iter().next().map(|(_, name)| name))?;
    let plain = name.chars().filter(|c| !c.is_control());
    Some(plain.take(MOST_NAME).collect::<String>().trim().to_owned())
}

impl Facts {
    pub(super) fn of_token(claims: &IdClaims) -> Self {
        Self {
            subject: claims.subject().clone(),
            email: email(claims.email(), claims.email_verified()),
            name: name(claims.name()),
            extra: claims.additional_claims().claims.clone(),
        }
    }

    /// Whether it is worth asking for more.
    pub(super) fn lack(&self, groups_claim: Option<&str>) -> bool {
        let unknown = |claim| !self.extra.contains_key(claim);
        self.email.is_none() || self.name.is_none() || groups_claim.is_some_and(unknown)
    }

    /// Adds what the signed token did not say; what it said stays.
    pub(super) fn complete(&mut self, info: &UserInfo) {
        if self.email.is_none() {
            self.email = email(info.email(), info.email_verified());
        }
        if self.name.is_none() {
            self.name = name(info.name());
        }
        for (claim, value) in &info.additional_claims().claims {
            self.extra
                .entry(claim.clone())
                .or_insert_with(|| value.clone());
        }
    }

    pub(super) fn person(
        self,
        issuer: &str,
        groups_claim: Option<&str>,
    ) -> Result<Person, OidcError> {
        let subject = self.subject.as_str();
        let plain = subject.chars().all(|c| !c.is_control());
        if subject.is_empty() || subject.len() > MOST_SUBJECT || !plain {
            return Err(OidcError::Invalid("the subject is no name".into()));
        }
        let (address, verified) = match self.email {
            Some(email) => (Some(email.address), email.verified),
            None => (None, false),
        };
        Ok(Person {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email: address,
            email_verified: verified,
            name: self.name.unwrap_or_default(),
            groups: groups_claim.and_then(|claim| groups(&self.extra, claim)),
        })
    }
}

/// The groups of a claim. A claim that is missing means none, since providers leave out what is
/// empty; one that cannot be read, or lies elsewhere because it is too long, means nothing.
fn groups(claims: &HashMap<String, Value>, claim: &str) -> Option<Vec<String>> {
    match claims.get(claim) {
        Some(Value::Array(names)) => {
            let names: Option<Vec<_>> = names.iter().map(Value::as_str).collect();
            names.map(group_names)
        }
        Some(Value::String(name)) => Some(group_names([name.as_str()])),
        Some(Value::Null) => Some(Vec::new()),
        None if claims
            .get("_claim_names")
            .is_none_or(|far| far.get(claim).is_none()) =>
        {
            Some(Vec::new())
        }
        _ => None,
    }
}

/// Names that a group can have, each once.
pub(crate) fn group_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let fits = |name: &&str| {
        !name.is_empty() && name.len() <= MOST_GROUP && !name.chars().any(char::is_control)
    };
    let mut taken: Vec<String> = Vec::new();
    for name in names
        .into_iter()
        .map(str::trim)
        .filter(fits)
        .take(MOST_GROUPS)
    {
        if !taken.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            taken.push(name.to_owned());
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(claims: &Value) -> Option<Vec<String>> {
        let Extra { claims } = serde_json::from_value(claims.clone()).unwrap();
        groups(&claims, "groups")
    }

    #[test]
    fn groups_are_read_however_providers_write_them() {
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(of(&json!({"groups": ["a", "b"]})), names(&["a", "b"]));
        assert_eq!(of(&json!({"groups": "a"})), names(&["a"]));
        for none in [
            json!({"groups": []}),
            json!({"groups": null}),
            json!({"x": 1}),
        ] {
            assert_eq!(of(&none), names(&[]), "{none}");
        }
    }

    #[test]
    fn what_is_not_known_of_groups_changes_none() {
        for unknown in [
            json!({"groups": 7}),
            json!({"groups": [7]}),
            json!({"groups": {"a": 1}}),
            json!({"_claim_names": {"groups": "src1"}}),
        ] {
            assert_eq!(of(&unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_name_that_no_group_can_have_is_left_out() {
        let long = "x".repeat(MOST_GROUP + 1);
        let given = ["", "  ", "a\nb", &long, " ops ", "OPS", "dev"];
        assert_eq!(group_names(given), ["ops", "dev"]);
        let many: Vec<_> = (0..2_000).map(|number| number.to_string()).collect();
        assert_eq!(
            group_names(many.iter().map(String::as_str)).len(),
            MOST_GROUPS
        );
    }

    #[test]
    fn an_address_counts_only_with_the_word_of_the_provider() {
        let address = |text: &str| EndUserEmail::new(text.to_owned());
        let verified = |word| {
            email(Some(&address("ada@example.com")), word)
                .unwrap()
                .verified
        };
        assert!(verified(Some(true)));
        assert!(!verified(Some(false)) && !verified(None));
        for bad in ["", "ada", "a b@example.com", "a@b\r\nBcc: c@d"] {
            assert!(email(Some(&address(bad)), Some(true)).is_none(), "{bad:?}");
        }
    }
}
