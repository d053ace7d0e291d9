//! Every error code: one table that the API, the command line and `ayni explain` read.
//!
//! A code never changes its meaning and is never used again.

/// One kind of failure.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `E-JOB-001`.
    pub id: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What it means and where it comes from.
    pub explanation: &'static str,
    /// What to do.
    pub hint: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Trying again later may help.
    pub retryable: bool,
    /// Exit code of the command line.
    pub exit: u8,
}

/// Exit codes of the command line.
pub mod exit {
    /// All went well.
    pub const OK: u8 = 0;
    /// The request failed.
    pub const FAILED: u8 = 1;
    /// Our fault, or the daemon can't be reached.
    pub const OURS: u8 = 2;
    /// Timed out waiting; the job goes on.
    pub const WAITED: u8 = 3;
    /// A key or a wallet is needed.
    pub const KEY: u8 = 4;
    /// A budget or a policy refused.
    pub const REFUSED: u8 = 5;
    /// The command line was wrong.
    pub const USAGE: u8 = 64;
    /// Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

macro_rules! codes {
    ($($name:ident $id:literal $status:literal $retry:literal $exit:ident
       $title:literal $explanation:literal $hint:literal)*) => {
        $(
            #[doc = $title]
            pub static $name: &Code = &Code {
                id: $id,
                title: $title,
                explanation: $explanation,
                hint: $hint,
                status: $status,
                retryable: $retry,
                exit: exit::$exit,
            };
        )*
        /// All of them, in order.
        pub static ALL: &[&Code] = &[$($name),*];
    };
}

codes! {
    API_TOKEN "E-API-001" 401 false KEY
        "the API token is missing or wrong"
        "Every request but the health checks carries `Authorization: Bearer TOKEN`. The token lies in the file `api.token` of the node's home, which only its owner can read. A wrong token usually means that the program talks to another node than it thinks, or runs as another user."
        "use the same --home as the daemon, and the same user"
    API_HOST "E-API-002" 403 false OURS
        "the Host header is not this node's loopback address"
        "The API answers only requests addressed to 127.0.0.1, [::1] or localhost at its own port. This keeps a web page elsewhere from reaching it by a name that it points at this machine (DNS rebinding)."
        "address the node as http://127.0.0.1:PORT"
    API_ORIGIN "E-API-003" 403 false OURS
        "a page from another origin may not call this API"
        "A browser says which page makes a request. Only pages that the node itself serves may call its API."
        "open the node's own page, or call the API from a program"
    API_BODY "E-API-004" 400 false FAILED
        "the request can't be read"
        "The body is not JSON of the shape that the OpenAPI document states, or a query parameter is wrong. The message names the place."
        "compare with /openapi.json"
    API_ROUTE "E-API-005" 404 false FAILED
        "no such route"
        "The path or the method is not part of the API. A newer program may be talking to an older daemon."
        "compare with /openapi.json; `ayni --version` and `ayni status` show both versions"
    API_SIZE "E-API-006" 413 false FAILED
        "the request is too large"
        "Every kind of request has a limit, so that no caller can fill the node's memory. A large job is submitted open, and its tasks are added in several requests."
        "split the request"
    API_ID "E-API-007" 400 false FAILED
        "not an id"
        "Jobs are named by 32 hex digits, blobs and tasks by 64, nodes by a did:key."
        "`ayni job list` shows the ids of jobs"
    API_LOGIN "E-API-008" 401 false KEY
        "the login link can't be used"
        "A login link is good for two minutes and for one browser. It was used before, is too old, or belongs to another start of the node."
        "`ayni open` makes a new one"
    API_BUSY "E-API-009" 429 true FAILED
        "too many requests"
        "What is served to everybody is bounded: requests at once, and receipts to be checked in a second."
        "try again in a few seconds"
    EXPLORER_UNKNOWN "E-API-010" 404 false FAILED
        "this explorer knows nothing of that id"
        "An explorer shows what its node knows: the market, proofs against providers that it met, and of the chain the channels and disputes that the node is part of. An id is given whole."
        "`/v1/market` lists the providers; for a channel or a dispute ask an explorer of one of its parties, or the chain"
    NODE_INTERNAL "E-NODE-001" 500 true OURS
        "the node failed in a way that it should not"
        "A bug of ours, or a machine in trouble. The node's log has more."
        "look at the daemon's log; `ayni doctor` checks the machine"
    NODE_UNREACHABLE "E-NODE-002" 503 true OURS
        "no daemon answers"
        "Commands speak to the daemon of the home folder. None is running, it is just starting or stopping, or it died."
        "start one with `ayni daemon`, or give the right --home"
    NODE_HOME_BUSY "E-NODE-003" 409 false OURS
        "another daemon uses this home"
        "A home belongs to one daemon at a time: two would write one journal."
        "use the running daemon, stop it, or give another --home"
    NODE_JOURNAL "E-NODE-004" 507 true OURS
        "the journal can't be written"
        "Nothing is acknowledged before it is in the journal. While it can't be written (a full disk, usually) the node takes nothing new; nothing accepted is lost."
        "make room on the disk; the node goes on by itself"
    NODE_SHUTTING_DOWN "E-NODE-005" 503 true OURS
        "the node is shutting down"
        "It was asked to stop and finishes what it has begun."
        "start it again and repeat the command"
    NODE_ANSWER "E-NODE-006" 502 false OURS
        "the daemon's answer can't be read"
        "The answer is not of the shape that this program knows. The daemon is of another version, or something else listens at its port."
        "restart the daemon with the same version as this program"
    NODE_CONFIG "E-NODE-007" 400 false FAILED
        "the configuration is wrong"
        "A setting can't be read or contradicts another one. Nothing was started."
        "correct the setting that the message names"
    NODE_HOME "E-NODE-008" 500 false OURS
        "the home folder can't be used"
        "The node keeps its key, its journal and its blobs in its home folder, and must be able to read and write there. The key and token must be readable by their owner only."
        "check the folder's owner, its rights and the free space, or give another --home"
    WALLET_NONE "E-PAY-002" 409 false FAILED
        "this node has no account"
        "Without the table `pay` in its configuration a node neither pays nor is paid."
        "`ayni wallet new` makes an account and says what to write where"
    CHAIN_SILENT "E-PAY-003" 502 true OURS
        "the chain does not answer"
        "The node that is configured as `pay.rpc` can't be reached, or answers nonsense. Work goes on as far as it is paid."
        "is the ledger running? `ayni doctor` says where it is looked for"
    STAKE_REFUSED "E-PAY-004" 409 false FAILED
        "the stake could not be changed"
        "The registry refused the step, or it did not get into a block in time. Nothing else was done."
        "`ayni stake show` says what is free and what is bound, `ayni wallet show` what the account holds"
    DISPUTE_UNKNOWN "E-PAY-005" 404 false FAILED
        "no such dispute here"
        "A node knows the disputes that it is a party or a juror of, as far as it has read the chain."
        "`ayni dispute list` shows them"
    VOTE_REFUSED "E-PAY-006" 409 false FAILED
        "the vote could not be cast"
        "The governor refused it, the proposal's vote is not open, or it did not get into a block in time."
        "`ayni gov list` says where proposals stand; votes are those that an account had when the vote began"
    PROPOSAL_UNKNOWN "E-PAY-007" 404 false FAILED
        "no such proposal"
        "A proposal is known by the governor's log on the chain."
        "`ayni gov list` shows all of them, with their ids"
    CHANNEL_UNKNOWN "E-PAY-001" 404 false FAILED
        "no such channel here"
        "A channel is known to the node that pays from it and to the one that is paid. Only its payer can close it."
        "`ayni channel list` shows the channels of this node"
    JOB_UNKNOWN "E-JOB-001" 404 false FAILED
        "no such job here"
        "Jobs live in the node to which they were submitted."
        "`ayni job list` shows the jobs of this node"
    JOB_BAD "E-JOB-002" 400 false FAILED
        "the job breaks a rule"
        "A limit or rule of the job itself (not of one of its tasks) does not hold. The message names it."
        "correct what the message names"
    JOB_ENDED "E-JOB-003" 409 false FAILED
        "the job takes no more tasks"
        "It is closed, was cancelled or has ended."
        "submit another job: outcomes already held are not run again"
    JOB_NO_TASKS "E-JOB-004" 400 false FAILED
        "the job has no tasks"
        "The inputs given yield no task, so there is nothing to run."
        "look at the input options with --dry-run"
    JOB_FAILED "E-JOB-005" 422 false FAILED
        "tasks of the job failed"
        "Some tasks ended without an outcome: three providers had the same fault, the deadline passed, or no provider could run them. Accepted outcomes are kept, and are not run again if the job is submitted once more."
        "`ayni job show ID` names the reasons"
    JOB_WAITED "E-JOB-006" 504 true WAITED
        "stopped waiting; the job goes on"
        "The time given for waiting is over. The job is in the daemon's hands and continues."
        "`ayni job attach ID` watches it again"
    JOB_CANCELLED "E-JOB-007" 409 false FAILED
        "the job was cancelled"
        "Somebody cancelled it. Accepted outcomes are kept."
        "`ayni job fetch ID -o DIR` writes what was accepted"
    TASK_BAD "E-TASK-001" 400 false FAILED
        "the task breaks a rule"
        "A task must be in canonical form and inside the limits of its engine: paths are absolute and do not climb, mounts do not overlap, and so on. The message names the rule."
        "correct what the message names"
    TASK_UNKNOWN "E-TASK-002" 404 false FAILED
        "the job has no such task"
        "Tasks are named by their index in the job, counted from 0."
        "`ayni job show ID` shows how many tasks there are"
    TASK_NO_RECEIPT "E-TASK-003" 404 true FAILED
        "there is no receipt for this task"
        "A receipt exists once a provider has signed the batch with the task's outcome. Tasks that were executed at home have none, for nobody is paid."
        "wait until the task is accepted; `ayni job show ID --task N` says where it stands"
    TASK_FAULT "E-TASK-004" 422 true FAILED
        "the task ended without an outcome"
        "The machine failed, not the program: it ran out of time, of real memory or of disk, or the program is not valid."
        "raise --timeout, or run it on another machine"
    BLOB_UNKNOWN "E-BLOB-001" 404 false FAILED
        "no such blob here"
        "The node does not hold these bytes: they were never put, or were removed to make room."
        "put them with POST /v1/blobs"
    BLOB_DISK "E-BLOB-002" 507 true OURS
        "there is no room for the blob"
        "The disk, or the part of it that the owner allows, is full."
        "make room, or raise the limit"
    BLOB_BAD "E-BLOB-003" 400 false FAILED
        "the blob can't be used for this"
        "Its bytes are not what the request needs them to be, or it ended early."
        "put the right bytes"
    PROGRAM_INVALID "E-PROG-001" 422 false FAILED
        "the program can't run"
        "It is not valid WebAssembly, uses a feature that the determinism contract excludes (threads, relaxed SIMD, legacy exceptions, …), or imports something that the engine does not provide. The message lists each reason."
        "`ayni check PROGRAM` shows all reasons; build for wasm32-wasip1 or wasm32-wasip2"
    PROGRAM_RUNNER "E-PROG-002" 503 true OURS
        "the runner can't be started"
        "Programs run in a separate process, `ayni-runner`, which lies beside `ayni`. It is missing, of another version, or the system refuses the jail around it."
        "`ayni doctor` names what is missing"
    NET_TICKET "E-NET-001" 400 false FAILED
        "the join ticket can't be used"
        "It is not a ticket, was cut short or altered, or has expired."
        "make a new one with `ayni invite` at the other node"
    NET_ADDR "E-NET-002" 400 false FAILED
        "the address can't be used"
        "A node is named by its did:key with at least one socket address or a relay."
        "`ayni id --json` at the other node shows its address"
    NET_NO_PROVIDER "E-NET-003" 503 true FAILED
        "no provider can take this"
        "No known offer fits: none is known at all, or each was refused for the reason shown."
        "`ayni why` lists each provider and the reason"
    PROV_NONE "E-PROV-001" 409 false FAILED
        "this node does not provide"
        "The daemon runs without the provider role, so there is nothing to pause, resume or drain."
        "start it with `ayni provide`"
    PROV_LIMIT "E-PROV-002" 400 false FAILED
        "a limit can't be"
        "What was asked for is more than the machine has, or makes no sense. The message says which limit and why; nothing has changed."
        "`ayni limits` shows those in force"
    RECEIPT_BAD "E-RCPT-001" 422 false FAILED
        "the receipt does not hold"
        "A digest, a proof or a signature in it does not match, or the task executed again yields something else. The steps shown end at the first that fails."
        "do not pay for it; keep the file as evidence"
    RECEIPT_FORM "E-RCPT-002" 400 false FAILED
        "not a receipt"
        "The bytes are not a receipt file in canonical form: another file, or an altered one."
        "give the file `receipt` of a task's folder"
    INPUT_GLOB "E-INPUT-001" 400 false FAILED
        "the pattern matches no file"
        "`--map` makes a task of each file that its pattern matches, and this one matches none. The shell may have expanded the pattern already: put it in quotes."
        "check the pattern with `ls`, and quote it: --map 'in/*.csv'"
    INPUT_PARAMS "E-INPUT-002" 400 false FAILED
        "the table of parameters can't be used"
        "`--params` makes a task of each row of a CSV file with a header. Rows must have as many fields as the header, and columns must have names of their own."
        "correct the file at the line that the message names"
    INPUT_PLACEHOLDER "E-INPUT-003" 400 false FAILED
        "a placeholder has no value"
        "`{…}` in an argument or environment variable is replaced for each task. Which names exist depends on how tasks are made: `{}` and `{name}` with --map, `{start}` and `{end}` with --range, the columns with --params; `{index}` always. Write `{{` and `}}` for braces."
        "use one of the names that the message lists"
    INPUT_FILE "E-INPUT-004" 400 false FAILED
        "a file can't be read"
        "A file or folder named on the command line or in the job file is missing or may not be read."
        "check the path; paths in a job file are relative to that file"
    INPUT_PATH "E-INPUT-005" 400 false FAILED
        "a path can't be given to the guest"
        "Paths inside the guest are absolute, without `.` or `..`, not under /tmp or /out, and no mount lies inside another. Names of mounted files must be valid UTF-8."
        "choose another guest path: --mount HOST:/in/name"
    INPUT_RANGE "E-INPUT-006" 400 false FAILED
        "the range can't be used"
        "`--range A..B` counts from A up to, but not including, B; `--step K` says how many go into one task, at least 1."
        "write it as --range 0..100 --step 10"
    INPUT_LIMIT "E-INPUT-007" 400 false FAILED
        "a limit is too small or too large"
        "A limit of 0 leaves a task no way to start, and none may exceed what the engine allows (4 GiB of memory, for one)."
        "leave the option out to use the default"
    INPUT_JOBFILE "E-INPUT-008" 400 false FAILED
        "the job file can't be used"
        "A job file is TOML with the keys that `ayni run --help` lists. The message names the line."
        "`ayni new NAME` writes one to start from"
    INPUT_CONFLICT "E-INPUT-009" 400 false USAGE
        "options contradict each other"
        "Tasks are made in one way at a time: by --map, --range, --params or --watch."
        "leave all but one out"
    OUTPUT_DIR "E-OUT-001" 400 false FAILED
        "the output folder can't be used"
        "Results are only written into a new or empty folder, or one that holds results of the same job, so that nothing of yours is overwritten."
        "give another folder with -o, or empty this one"
    OUTPUT_WRITE "E-OUT-002" 507 true OURS
        "results can't be written"
        "The folder may not be written, or the disk is full. Nothing is lost: the node holds every accepted outcome."
        "make room, then `ayni job fetch ID -o DIR`"
    USAGE "E-USAGE-001" 400 false USAGE
        "the command line is wrong"
        "An option is unknown, lacks its value, or has one that it can't have."
        "`ayni help COMMAND` shows the options"
    INTERRUPTED "E-USAGE-002" 499 true INTERRUPTED
        "interrupted"
        "Ctrl-C was pressed. What was submitted goes on in the daemon."
        "`ayni job attach ID` watches it again; `ayni job cancel ID` stops it"
    CODE_UNKNOWN "E-USAGE-003" 404 false FAILED
        "no such code"
        "Codes look like E-JOB-001."
        "`ayni explain` lists them all"
}

/// Finds a code by its id, in any case.
#[must_use]
pub fn find(id: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.id.eq_ignore_ascii_case(id.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_well_formed_and_findable() {
        for (at, code) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|c| c.id != code.id), "{} twice", code.id);
            let parts: Vec<_> = code.id.split('-').collect();
            assert!(parts.len() == 3 && parts[0] == "E" && parts[2].len() == 3, "{}", code.id);
            assert!(!code.title.ends_with('.') && !code.hint.is_empty(), "{}", code.id);
            assert_eq!(find(&code.id.to_lowercase()), Some(*code));
        }
        assert_eq!(find("E-NONE-001"), None);
    }
}
