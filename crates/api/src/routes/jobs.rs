//! Jobs and their tasks.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ayni_types::{JobId, TaskSpec};

use super::{Answer, Json, Node, Params, id};
use crate::backend::Backend;
use crate::codes;
use crate::error::{ApiError, ErrorBody};
use crate::json::{
    AddTasks, Done, EvidenceList, JobAccepted, JobDetail, JobList, JobRequest, Raw, TaskDetail,
    TaskFilter, TaskJson, TaskList, TasksAdded,
};
use crate::limits;

fn parse_tasks(tasks: Vec<TaskJson>, first_index: u32) -> Result<Vec<TaskSpec>, ApiError> {
    if tasks.len() > limits::TASKS_PER_REQUEST_MAX {
        return Err(ApiError::new(
            codes::API_SIZE,
            format!(
                "{} tasks; at most {} in one request",
                tasks.len(),
                limits::TASKS_PER_REQUEST_MAX
            ),
        )
        .hint("submit the job with `open`, add its tasks in several requests, then close it"));
    }
    (u64::from(first_index)..)
        .zip(tasks)
        .map(|(index, task)| {
            TaskSpec::try_from(task).map_err(|error| {
                ApiError::new(error.code, format!("task {index}: {error}")).hint(error.hint)
            })
        })
        .collect()
}

/// Submit a job. Submitting the same id again is answered as the first time.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", request_body = JobRequest,
    responses((status = 200, body = JobAccepted), (status = "default", body = ErrorBody)))]
pub(crate) async fn submit_job<B: Backend>(
    State(node): Node<B>,
    body: Json<JobRequest>,
) -> Answer<JobAccepted> {
    let mut request = body?.0;
    let bad = |why: String| Err(ApiError::new(codes::JOB_BAD, why));
    if request.name.len() > 200 {
        return bad(format!("the name has {} bytes; at most 200", request.name.len()));
    }
    if request.timeout_ms == 0 {
        return bad("a timeout of 0 ms leaves a task no time to start".to_owned());
    }
    if let Some(rate) = request.verify.audit_ppm.filter(|rate| *rate > 1_000_000) {
        return bad(format!("an audit rate of {rate} millionths is above 1"));
    }
    if request.providers_max == 0 && !request.home {
        return bad("no providers and no cores of its own: nobody would run it".to_owned());
    }
    if request.tasks.is_empty() && !request.open {
        return Err(ApiError::new(codes::JOB_NO_TASKS, "the job has no tasks and is not open"));
    }
    let tasks = parse_tasks(std::mem::take(&mut request.tasks), 0)?;
    node.submit(request, tasks).await.map(axum::Json)
}

/// All jobs of this node, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    responses((status = 200, body = JobList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_jobs<B: Backend>(State(node): Node<B>) -> Answer<JobList> {
    node.jobs().await.map(axum::Json)
}

/// One job.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits")),
    responses((status = 200, body = JobDetail), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_job<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
) -> Answer<JobDetail> {
    node.job(id(&job)?).await.map(axum::Json)
}

/// More tasks for an open job. Tasks at indices that the job already has are ignored.
#[utoipa::path(post, path = "/v1/jobs/{id}/tasks", tag = "jobs", request_body = AddTasks,
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits")),
    responses((status = 200, body = TasksAdded), (status = "default", body = ErrorBody)))]
pub(crate) async fn add_tasks<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
    body: Json<AddTasks>,
) -> Answer<TasksAdded> {
    let request = body?.0;
    let tasks = parse_tasks(request.tasks, request.first_index)?;
    node.add_tasks(id(&job)?, request.first_index, tasks).await.map(axum::Json)
}

/// No more tasks will come.
#[utoipa::path(post, path = "/v1/jobs/{id}/close", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn close_job<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
) -> Answer<Done> {
    node.close(id(&job)?).await?;
    Ok(axum::Json(Done::default()))
}

/// Stop a job. Accepted outcomes are kept.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn cancel_job<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
) -> Answer<Done> {
    node.cancel(id(&job)?).await?;
    Ok(axum::Json(Done::default()))
}

/// Tasks of a job, by index.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits"), TaskFilter),
    responses((status = 200, body = TaskList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_tasks<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
    query: Params<TaskFilter>,
) -> Answer<TaskList> {
    let mut filter = query?.0;
    let count = filter.count.unwrap_or(100);
    if count == 0 || count > limits::TASK_ROWS_MAX {
        return Err(ApiError::new(
            codes::API_BODY,
            format!("count is {count}; it must be 1 to {}", limits::TASK_ROWS_MAX),
        ));
    }
    filter.count = Some(count);
    node.tasks(id(&job)?, filter).await.map(axum::Json)
}

/// One task.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks/{index}", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits"),
        ("index" = u32, Path, description = "Counted from 0")),
    responses((status = 200, body = TaskDetail), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_task<B: Backend>(
    State(node): Node<B>,
    Path((job, index)): Path<(String, String)>,
) -> Answer<TaskDetail> {
    node.task(id(&job)?, task_index(&index)?).await.map(axum::Json)
}

/// The receipt of a task, as a file that `POST /v1/verify` and anyone else can check.
#[utoipa::path(get, path = "/v1/jobs/{id}/tasks/{index}/receipt", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits"),
        ("index" = u32, Path, description = "Counted from 0")),
    responses((status = 200, body = Raw, content_type = "application/cbor"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_receipt<B: Backend>(
    State(node): Node<B>,
    Path((job, index)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (job, index): (JobId, u32) = (id(&job)?, task_index(&index)?);
    let Some(receipt) = node.receipt(job, index).await? else {
        return Err(ApiError::new(
            codes::TASK_NO_RECEIPT,
            format!("task {index} of job {job} has no receipt"),
        ));
    };
    let bytes = ayni_wire::encode(&receipt);
    Ok(([(header::CONTENT_TYPE, "application/cbor")], bytes).into_response())
}

fn task_index(text: &str) -> Result<u32, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        ApiError::new(codes::API_ID, format!("`{shown}` is not the index of a task"))
    })
}

/// What contradicts providers in a job: each signed outcome beside the one that was found.
#[utoipa::path(get, path = "/v1/jobs/{id}/evidence", tag = "jobs",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits")),
    responses((status = 200, body = EvidenceList), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_evidence<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
) -> Answer<EvidenceList> {
    node.evidence(id(&job)?).await.map(axum::Json)
}
