//! Signs requests to S3 with a key that a service lent.

use domain::Failure;
use domain::derived::AwsKey;
use jiff::Timestamp;
use reqwest::Request;
use rusty_s3::{Method, signing};

/// How long a signature holds: as long as the longest wait for a place at the service, and no longer.
const SECONDS: u64 = 300;

/// Signs a request in its query (AWS Signature Version 4). Its headers and body are not covered.
pub(super) fn for_s3(request: &mut Request, key: &AwsKey, at: &Timestamp) -> Result<(), Failure> {
    let method = match request.method().as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        other => {
            return Err(Failure::config(format!(
                "a request of the method {other} cannot be signed for S3"
            )));
        }
    };
    let [id, secret] = [&key.id, &key.secret].map(|part| String::from_utf8_lossy(part.expose()));
    let session = key.session.as_ref();
    let session = session.map(|token| String::from_utf8_lossy(token.expose()));
    let url = request.url().clone();
    let mut pairs: Vec<_> = url.query_pairs().collect();
    pairs.sort();
    *request.url_mut() = signing::sign(
        at,
        method,
        url.clone(),
        &id,
        &secret,
        session.as_deref(),
        &key.region,
        SECONDS,
        pairs.iter().map(|(name, value)| (&**name, &**value)),
        std::iter::empty(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Secret;

    #[test]
    fn a_request_is_signed_as_the_documentation_of_s3_has_it() {
        // "Authenticating Requests: Using Query Parameters", but that its signature holds for a day: the parts that
        // do not depend on that are compared.
        let key = AwsKey {
            id: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session: Some(Secret::new("lent/+")),
            region: "us-east-1".into(),
        };
        let at = "2013-05-24T00:00:00Z".parse().unwrap();
        let url = "https://examplebucket.s3.amazonaws.com/test.txt?versionId=a%2Fb";
        let mut request = Request::new(reqwest::Method::GET, url.parse().unwrap());
        for_s3(&mut request, &key, &at).unwrap();
        let pairs: std::collections::BTreeMap<_, _> =
            request.url().query_pairs().into_owned().collect();
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            (
                "X-Amz-Credential",
                "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            ),
            ("X-Amz-Date", "20130524T000000Z"),
            ("X-Amz-Security-Token", "lent/+"),
            ("X-Amz-SignedHeaders", "host"),
            ("versionId", "a/b"),
        ] {
            assert_eq!(pairs[name], value);
        }
        assert_eq!(pairs["X-Amz-Signature"].len(), 64);
        *request.method_mut() = reqwest::Method::PATCH;
        assert!(for_s3(&mut request, &key, &at).is_err());
    }
}
