-- Questions to CloudTrail Lake that show misuse of a deployment. Put the ID of the event data store for
-- $EVENT_DATA_STORE, and the name prefix for TowerForge. Invocations and items of the table are data events: the event
-- data store must record those of the function and of the claim table.

-- name: invoked-by-others
-- Only CloudFormation, the schedule of the sweep and the function itself invoke the function. Anybody else may be sending
-- events of his own; `make plan AWS=1` does too.
SELECT eventTime, userIdentity.arn, sourceIPAddress
FROM $EVENT_DATA_STORE
WHERE eventSource = 'lambda.amazonaws.com' AND eventName = 'Invoke'
  AND element_at(requestParameters, 'functionName') LIKE '%TowerForge-handler%'
  AND COALESCE(userIdentity.invokedBy, '') NOT IN ('cloudformation.amazonaws.com', 'events.amazonaws.com')
  AND COALESCE(userIdentity.sessionContext.sessionIssuer.arn, '') NOT LIKE '%:role/towerforge/%'
ORDER BY eventTime;

-- name: roles-changed-by-others
-- Only the function changes the roles of forges.
SELECT eventTime, eventName, userIdentity.arn, element_at(requestParameters, 'roleName')
FROM $EVENT_DATA_STORE
WHERE eventSource = 'iam.amazonaws.com'
  AND eventName NOT LIKE 'Get%' AND eventName NOT LIKE 'List%'
  AND element_at(requestParameters, 'roleName') LIKE 'TowerForge-%Role'
  AND COALESCE(userIdentity.sessionContext.sessionIssuer.arn, '') NOT LIKE '%:role/towerforge/%'
ORDER BY eventTime;

-- name: roles-opened
-- The roles of forges trust services of AWS only. The function's own calls are shown too: it never lets a principal of an
-- account assume a role.
SELECT eventTime, userIdentity.arn, element_at(requestParameters, 'roleName')
FROM $EVENT_DATA_STORE
WHERE eventSource = 'iam.amazonaws.com' AND eventName IN ('CreateRole', 'UpdateAssumeRolePolicy')
  AND element_at(requestParameters, 'roleName') LIKE 'TowerForge-%Role'
  AND (element_at(requestParameters, 'policyDocument') LIKE '%"AWS"%'
    OR element_at(requestParameters, 'assumeRolePolicyDocument') LIKE '%"AWS"%')
ORDER BY eventTime;

-- name: boundary-reached
-- Calls of the roles of forges that were denied. A forge's own jobs make none, so these are mistakes or attempts: other
-- people's job definitions, clusters, logs, buckets.
SELECT eventTime, eventSource, eventName, userIdentity.arn, errorMessage
FROM $EVENT_DATA_STORE
WHERE userIdentity.sessionContext.sessionIssuer.arn LIKE '%:role/TowerForge-%Role'
  AND errorCode IN ('AccessDenied', 'AccessDeniedException', 'Client.UnauthorizedOperation')
ORDER BY eventTime;

-- name: statements-to-review
-- InstanceRoleStatements of stacks, as the function writes them.
SELECT eventTime, element_at(requestParameters, 'roleName'), element_at(requestParameters, 'policyDocument')
FROM $EVENT_DATA_STORE
WHERE eventSource = 'iam.amazonaws.com' AND eventName = 'PutRolePolicy'
  AND element_at(requestParameters, 'policyName') = 'instance-role-statements'
ORDER BY eventTime;

-- name: templates-of-others
-- Launch templates under the names of forges that the function has not created.
SELECT eventTime, eventName, userIdentity.arn
FROM $EVENT_DATA_STORE
WHERE eventSource = 'ec2.amazonaws.com' AND eventName IN ('CreateLaunchTemplate', 'CreateLaunchTemplateVersion')
  AND (element_at(requestParameters, 'CreateLaunchTemplateRequest') LIKE '%TowerForge-%'
    OR element_at(requestParameters, 'CreateLaunchTemplateVersionRequest') LIKE '%TowerForge-%')
  AND COALESCE(userIdentity.sessionContext.sessionIssuer.arn, '') NOT LIKE '%:role/towerforge/%'
  AND COALESCE(userIdentity.invokedBy, '') <> 'batch.amazonaws.com'
ORDER BY eventTime;

-- name: claims-of-others
-- Only the two functions write to the claim table.
SELECT eventTime, eventName, userIdentity.arn
FROM $EVENT_DATA_STORE
WHERE eventSource = 'dynamodb.amazonaws.com' AND eventName IN ('UpdateItem', 'PutItem', 'DeleteItem', 'BatchWriteItem', 'TransactWriteItems')
  AND element_at(requestParameters, 'tableName') LIKE '%-ClaimTable-%'
  AND COALESCE(userIdentity.sessionContext.sessionIssuer.arn, '') NOT LIKE '%:role/towerforge/%'
ORDER BY eventTime;
