//! The claim's table in `DynamoDB`: two signed calls, without its SDK.

use crate::environment::Access;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tower_forge_core::error::causes;
use tower_forge_core::event::dns_suffix;
use tower_forge_core::table::{Attributes, Condition, Edit, KEY, Path, TableError, Update, Updated, Value};

/// How often a call is tried before the engine is told; a later try is true of an earlier one's result.
const TRIES: u32 = 3;
/// How long one try may take, in real time.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The claim's table.
#[derive(Debug)]
pub struct ClaimTable {
    http: reqwest::Client,
    credentials: SharedCredentialsProvider,
    region: String,
    endpoint: String,
    name: String,
    user_agent: String,
}

/// Why one try came to nothing.
enum Refusal {
    /// The condition did not hold.
    Condition(Json),
    /// There is no such table.
    NoTable,
    /// The function may not.
    Denied(String),
    /// Anything else, worth another try or not.
    Other { why: String, again: bool },
}

impl ClaimTable {
    /// The table of this name.
    pub fn new(access: &Access, name: String) -> Self {
        let Access { http, credentials, region, endpoint, app } = access.clone();
        let own = || format!("https://dynamodb.{region}.{}", dns_suffix(&region));
        let app = app.map(|app| format!(" app/{app}")).unwrap_or_default();
        Self {
            http,
            credentials,
            endpoint: endpoint.unwrap_or_else(own),
            region,
            name,
            user_agent: format!("tower-forge/{}{app}", env!("CARGO_PKG_VERSION")),
        }
    }

    /// Reads an item, consistently.
    ///
    /// # Errors
    ///
    /// The table gave no answer that counts.
    pub async fn read(&self, key: &str) -> Result<Option<Attributes>, TableError> {
        let body = json!({"TableName": self.name, "Key": {KEY: {"S": key}}, "ConsistentRead": true});
        match self.call("GetItem", &body).await {
            Ok(answer) => Ok(answer.get("Item").map(from_json)),
            Err(refusal) => Err(self.error(refusal)),
        }
    }

    /// Updates an item.
    ///
    /// # Errors
    ///
    /// The table gave no answer that counts.
    pub async fn update(&self, update: &Update) -> Result<Updated, TableError> {
        let item =
            |answer: &Json, name: &str| answer.get(name).map(from_json).filter(|item| !item.is_empty());
        match self.call("UpdateItem", &render(&self.name, update)).await {
            Ok(answer) => Ok(Updated::Done(item(&answer, "Attributes"))),
            Err(Refusal::Condition(answer)) => Ok(Updated::Refused(item(&answer, "Item"))),
            Err(refusal) => Err(self.error(refusal)),
        }
    }

    fn error(&self, refusal: Refusal) -> TableError {
        match refusal {
            Refusal::NoTable => TableError::Gone(self.name.clone()),
            Refusal::Denied(why) => TableError::Denied(why),
            Refusal::Other { why, .. } => TableError::Unreachable(why),
            Refusal::Condition(_) => TableError::Unreachable("a read has no condition".to_owned()),
        }
    }

    async fn call(&self, operation: &str, body: &Json) -> Result<Json, Refusal> {
        let mut tries = 1;
        loop {
            match self.try_once(operation, body.to_string()).await {
                Err(Refusal::Other { again: true, .. }) if tries < TRIES => tries += 1,
                answer => return answer,
            }
        }
    }

    async fn try_once(&self, operation: &str, body: String) -> Result<Json, Refusal> {
        let request =
            self.signed(operation, body).await.map_err(|why| Refusal::Other { why, again: false })?;
        let passes = |err: reqwest::Error| Refusal::Other { why: causes(&err.without_url()), again: true };
        let response = self.http.execute(request).await.map_err(passes)?;
        let status = response.status();
        let text = response.text().await.map_err(passes)?;
        let answer: Json = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let code = answer["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default();
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
        match code {
            "ConditionalCheckFailedException" => Err(Refusal::Condition(answer)),
            "ResourceNotFoundException" => Err(Refusal::NoTable),
            "AccessDeniedException" => {
                Err(Refusal::Denied(format!("dynamodb:{operation} {}: {message}", self.name)))
            }
            _ => Err(Refusal::Other {
                why: format!("dynamodb:{operation}: {code} {message} (status {})", status.as_u16()),
                again: status.is_server_error()
                    || code.contains("Throttl")
                    || code.ends_with("ThroughputExceededException"),
            }),
        }
    }

    async fn signed(&self, operation: &str, body: String) -> Result<reqwest::Request, String> {
        let credentials =
            self.credentials.provide_credentials().await.map_err(|err| format!("no credentials: {err}"))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("dynamodb")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|err| err.to_string())?
            .into();
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let url = reqwest::Url::parse(&self.endpoint).map_err(|err| err.to_string())?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let all = headers.into_iter().chain([("host", host.as_str())]);
        let signable = SignableRequest::new("POST", url.as_str(), all, SignableBody::Bytes(body.as_bytes()))
            .map_err(|err| err.to_string())?;
        let (instructions, _) = sign(signable, &params).map_err(|err| err.to_string())?.into_parts();
        let mut request = self.http.post(url).timeout(TIMEOUT).body(body);
        request = request.header("user-agent", &self.user_agent);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        request.build().map_err(|err| err.without_url().to_string())
    }
}

/// An update as `UpdateItem` takes it. Names and values go through placeholders: some names are reserved words.
fn render(table: &str, update: &Update) -> Json {
    let mut terms = Terms::default();
    let mut clauses: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for edit in &update.edits {
        let (clause, term) = match edit {
            Edit::Set(name, value) => ("SET", format!("{} = {}", terms.name(name), terms.value(value))),
            Edit::Remove(name) => ("REMOVE", terms.name(name)),
            // DynamoDB refuses an empty set.
            Edit::Add(_, set) | Edit::Subtract(_, set) if set.is_empty() => continue,
            Edit::Add(name, set) => {
                ("ADD", format!("{} {}", terms.name(name), terms.value(&Value::Set(set.clone()))))
            }
            Edit::Subtract(name, set) => {
                ("DELETE", format!("{} {}", terms.name(name), terms.value(&Value::Set(set.clone()))))
            }
        };
        clauses.entry(clause).or_default().push(term);
    }
    let expression: Vec<String> =
        clauses.iter().map(|(clause, terms)| format!("{clause} {}", terms.join(", "))).collect();
    let condition = terms.condition(&update.condition);
    json!({
        "TableName": table,
        "Key": {KEY: {"S": update.key}},
        "UpdateExpression": expression.join(" "),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": terms.names,
        "ExpressionAttributeValues": terms.values,
        "ReturnValues": "ALL_OLD",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

/// The placeholders of an expression.
#[derive(Default)]
struct Terms {
    names: Map<String, Json>,
    values: Map<String, Json>,
}

impl Terms {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.into());
        placeholder
    }

    fn path(&mut self, path: Path) -> String {
        path.iter().map(|name| self.name(name)).collect::<Vec<_>>().join(".")
    }

    fn value(&mut self, value: &Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), to_json(value));
        placeholder
    }

    fn condition(&mut self, condition: &Condition) -> String {
        let mut join = |all: &[Condition], word: &str| {
            let all: Vec<String> = all.iter().map(|each| self.condition(each)).collect();
            // DynamoDB refuses parentheses that are not needed.
            if let [only] = all.as_slice() { only.clone() } else { format!("({})", all.join(word)) }
        };
        match condition {
            Condition::All(all) => join(all, " AND "),
            Condition::Any(any) => join(any, " OR "),
            Condition::Missing(path) => format!("attribute_not_exists({})", self.path(path)),
            Condition::Is(path, value) => format!("{} = {}", self.path(path), self.value(value)),
            Condition::IsNot(path, value) => format!("{} <> {}", self.path(path), self.value(value)),
            Condition::Less(path, value) => format!("{} < {}", self.path(path), self.value(value)),
        }
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::S(text) => json!({"S": text}),
        Value::N(number) => json!({"N": number.to_string()}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::Set(set) => json!({"SS": set}),
        Value::Map(map) => {
            let members: Map<String, Json> =
                map.iter().map(|(name, value)| (name.clone(), to_json(value))).collect();
            json!({"M": members})
        }
    }
}

/// An item of `DynamoDB`; an attribute of a type that the claim does not know is left out.
fn from_json(item: &Json) -> Attributes {
    let members = item.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value_from(value)?))).collect()
}

fn value_from(value: &Json) -> Option<Value> {
    let (kind, value) = value.as_object()?.iter().next()?;
    match kind.as_str() {
        "S" => value.as_str().map(|text| Value::S(text.to_owned())),
        "N" => value.as_str()?.parse().ok().map(Value::N),
        "BOOL" => value.as_bool().map(Value::Bool),
        "SS" => value
            .as_array()?
            .iter()
            .map(|each| each.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(Value::Set),
        "M" => Some(Value::Map(from_json(value))),
        _ => None,
    }
}
