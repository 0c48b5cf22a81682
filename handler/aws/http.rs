//! The SDK's HTTP client is reqwest, which also answers CloudFormation: one client, one TLS configuration, one list of
//! certificate authorities to read at start. The SDK's own client brings HTTP/2 besides, which no service here needs.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

/// The SDK's client over `http`. The SDK limits the time of an attempt; `http` limits that of connecting.
pub(crate) fn sdk_client(http: reqwest::Client) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(http));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Clone, Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let response = http.execute(convert(request)?).await.map_err(failed)?;
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            let body = response.bytes().await.map_err(failed)?;
            let answer = answer.body(SdkBody::from(body)).map_err(|err| ConnectorError::user(err.into()))?;
            HttpResponse::try_from(answer).map_err(|err| ConnectorError::user(err.into()))
        })
    }
}

fn convert(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let request = request.try_into_http1x().map_err(|err| ConnectorError::user(err.into()))?;
    let (head, body) = request.into_parts();
    let body = body.bytes().ok_or_else(|| ConnectorError::user("a body that is streamed".into()))?.to_vec();
    let request = http::Request::from_parts(head, body);
    reqwest::Request::try_from(request).map_err(|err| ConnectorError::user(err.into()))
}

fn failed(err: reqwest::Error) -> ConnectorError {
    let is_timeout = err.is_timeout();
    let source = Box::new(err.without_url());
    if is_timeout { ConnectorError::timeout(source) } else { ConnectorError::io(source) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, whatever is not as it should be ends the test")]

    use super::*;

    /// A URL is a part of the signature.
    #[test]
    fn a_request_is_sent_as_it_was_signed() {
        for url in [
            "https://batch.eu-west-1.amazonaws.com/v1/tags/arn%3Aaws%3Abatch%3Aeu-west-1%3A123456789012%3Ajob-queue%2Fa",
            "https://elasticfilesystem.eu-west-1.amazonaws.com/2015-02-01/file-systems?CreationToken=a%27b%20c~d%2Be",
            "https://batch.eu-west-1.amazonaws.com/v1/tags/x?tagKeys=a%3Ab&tagKeys=%C3%A4",
        ] {
            let mut request = HttpRequest::new(SdkBody::from("{}"));
            request.set_uri(url).unwrap();
            request.set_method("DELETE").unwrap();
            request.headers_mut().insert("x-amz-date", "20261124T083000Z");
            let converted = convert(request).unwrap();
            assert_eq!((converted.method().as_str(), converted.url().as_str()), ("DELETE", url));
            assert_eq!(converted.headers()["x-amz-date"], "20261124T083000Z");
            assert_eq!(converted.body().and_then(reqwest::Body::as_bytes), Some(&b"{}"[..]));
        }
    }
}
