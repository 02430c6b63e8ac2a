-- The index: everything that is asked of results.  It is made from the ledger and can be thrown away at any time.
-- Tables are for the store alone; pages, reports and people read the views below.
-- "run" and "series" are numbers that mean something inside one index only; run_id, series_id and measurement_id
-- are the same everywhere.

CREATE TABLE entry (
    sha256 VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, received TIMESTAMPTZ NOT NULL, size_bytes BIGINT NOT NULL,
    state VARCHAR NOT NULL, subject VARCHAR, message VARCHAR
);
COMMENT ON TABLE entry IS 'Every entry of the ledger that this index has seen.';
COMMENT ON COLUMN entry.sha256 IS 'Digest of the content, and its name in the ledger.';
COMMENT ON COLUMN entry.kind IS 'What it is: run, annotation, withdrawal, reinstatement, machine-name, decision, acceptance.';
COMMENT ON COLUMN entry.received IS 'When the ledger first had it.';
COMMENT ON COLUMN entry.size_bytes IS 'Size of the content in bytes.';
COMMENT ON COLUMN entry.state IS 'applied; superseded (a longer file of the same run is held); conflict (another file of the same run counts); refused (not readable, see message).';
COMMENT ON COLUMN entry.subject IS 'The run it holds, or the id of the statement.';
COMMENT ON COLUMN entry.message IS 'Why it was not applied.';

CREATE TABLE machine (
    machine_id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, given_name VARCHAR, given_at TIMESTAMPTZ, cpu_model VARCHAR NOT NULL,
    cores BIGINT NOT NULL, threads BIGINT NOT NULL, memory_bytes BIGINT NOT NULL, devices VARCHAR[] NOT NULL,
    attributes JSON NOT NULL, described TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE machine IS 'Computers that measured, as their newest run describes them.';
COMMENT ON COLUMN machine.machine_id IS 'Hash of CPU model, cores, memory and devices.';
COMMENT ON COLUMN machine.name IS 'Name in the newest run.';
COMMENT ON COLUMN machine.given_name IS 'Name that people gave it later; goes before name.';
COMMENT ON COLUMN machine.given_at IS 'When the given name was given.';
COMMENT ON COLUMN machine.cpu_model IS 'Processor as the system names it.';
COMMENT ON COLUMN machine.cores IS 'Physical cores.';
COMMENT ON COLUMN machine.threads IS 'Hardware threads.';
COMMENT ON COLUMN machine.memory_bytes IS 'Main memory in bytes.';
COMMENT ON COLUMN machine.devices IS 'Accelerators.';
COMMENT ON COLUMN machine.attributes IS 'Everything else that was found out, as the runner wrote it.';
COMMENT ON COLUMN machine.described IS 'Start of the run that this description is from.';

CREATE TABLE environment (
    environment_id VARCHAR PRIMARY KEY, interpreter VARCHAR NOT NULL, packages JSON NOT NULL, blas JSON NOT NULL,
    attributes JSON NOT NULL, described TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE environment IS 'Software that measured.';
COMMENT ON COLUMN environment.environment_id IS 'Hash of interpreter, packages, BLAS and settings.';
COMMENT ON COLUMN environment.interpreter IS 'Interpreter with its version.';
COMMENT ON COLUMN environment.packages IS 'Packages with their versions as resolved.';
COMMENT ON COLUMN environment.blas IS 'BLAS libraries with version, core type and threads.';
COMMENT ON COLUMN environment.attributes IS 'Settings that matter, drivers, commit.';
COMMENT ON COLUMN environment.described IS 'Start of the run that this description is from.';

CREATE TABLE run (
    run INTEGER PRIMARY KEY, run_id VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, started TIMESTAMPTZ NOT NULL,
    ended TIMESTAMPTZ, interrupted BOOLEAN NOT NULL, machine_id VARCHAR NOT NULL, environment_id VARCHAR NOT NULL,
    profile VARCHAR NOT NULL, effort VARCHAR NOT NULL, seed BIGINT NOT NULL, command VARCHAR[] NOT NULL, labels JSON NOT NULL,
    protocol JSON NOT NULL, flopwatch JSON NOT NULL, flopwatch_version VARCHAR, flopwatch_commit VARCHAR,
    measurements INTEGER NOT NULL, ok INTEGER NOT NULL, not_ok INTEGER NOT NULL, withdrawn BOOLEAN NOT NULL,
    samples_indexed BOOLEAN NOT NULL
);
COMMENT ON TABLE run IS 'One execution of a part of the workload on one machine in one environment.';
COMMENT ON COLUMN run.run IS 'Number of the run in this index.';
COMMENT ON COLUMN run.run_id IS 'UUID (version 7) that the runner gave it.';
COMMENT ON COLUMN run.sha256 IS 'Entry of the ledger that holds the run file.';
COMMENT ON COLUMN run.started IS 'When it began.';
COMMENT ON COLUMN run.ended IS 'When it ended; NULL if it was interrupted.';
COMMENT ON COLUMN run.interrupted IS 'Whether the end of the run file is missing.';
COMMENT ON COLUMN run.machine_id IS 'Machine that measured.';
COMMENT ON COLUMN run.environment_id IS 'Environment it ran in.';
COMMENT ON COLUMN run.profile IS 'Which cases were asked for.';
COMMENT ON COLUMN run.effort IS 'How many processes replicate each case.';
COMMENT ON COLUMN run.seed IS 'Seed of inputs and order.';
COMMENT ON COLUMN run.command IS 'Command that re-measures it.';
COMMENT ON COLUMN run.labels IS 'Labels that people gave.';
COMMENT ON COLUMN run.protocol IS 'Settings of the measuring protocol.';
COMMENT ON COLUMN run.flopwatch IS 'The program that measured, as it described itself.';
COMMENT ON COLUMN run.flopwatch_version IS 'Its version.';
COMMENT ON COLUMN run.flopwatch_commit IS 'Its commit.';
COMMENT ON COLUMN run.measurements IS 'Measurements that were attempted and not withdrawn, without ceilings.';
COMMENT ON COLUMN run.ok IS 'Those with status ok.';
COMMENT ON COLUMN run.not_ok IS 'Those with another status.';
COMMENT ON COLUMN run.withdrawn IS 'Whether the whole run was taken back.';
COMMENT ON COLUMN run.samples_indexed IS 'Whether its raw samples are in the table sample; else they are in the ledger only.';

CREATE TABLE process (
    run INTEGER NOT NULL, process INTEGER NOT NULL, block INTEGER NOT NULL, started TIMESTAMPTZ NOT NULL,
    backends VARCHAR[] NOT NULL, threads INTEGER NOT NULL, attributes JSON NOT NULL
);
COMMENT ON TABLE process IS 'Worker processes: the unit of replication.';
COMMENT ON COLUMN process.run IS 'Run it belongs to.';
COMMENT ON COLUMN process.process IS 'Its index in the run.';
COMMENT ON COLUMN process.block IS 'Randomised block that it was part of.';
COMMENT ON COLUMN process.started IS 'When it began.';
COMMENT ON COLUMN process.backends IS 'Backends that it loaded.';
COMMENT ON COLUMN process.threads IS 'Threads that its backends were given.';
COMMENT ON COLUMN process.attributes IS 'Conditions that it ran under.';

CREATE TABLE series (
    series INTEGER PRIMARY KEY, series_id VARCHAR NOT NULL, machine_id VARCHAR NOT NULL, kernel VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL, variant VARCHAR NOT NULL, condition VARCHAR NOT NULL, backend VARCHAR NOT NULL,
    device VARCHAR NOT NULL, threads INTEGER NOT NULL
);
COMMENT ON TABLE series IS 'What is measured again and again: machine, case, variant, condition, backend, device, threads.';
COMMENT ON COLUMN series.series IS 'Number of the series in this index.';
COMMENT ON COLUMN series.series_id IS 'Hash of all that makes it this series.';
COMMENT ON COLUMN series.machine_id IS 'Machine.';
COMMENT ON COLUMN series.kernel IS 'Operation of the workload.';
COMMENT ON COLUMN series.case_id IS 'Kernel at one shape, type and seed.';
COMMENT ON COLUMN series.variant IS 'Way to compute it.';
COMMENT ON COLUMN series.condition IS 'How it is measured where that changes the number.';
COMMENT ON COLUMN series.backend IS 'Library that executes.';
COMMENT ON COLUMN series.device IS 'Device it executes on.';
COMMENT ON COLUMN series.threads IS 'Threads.';

CREATE TABLE measurement (
    run INTEGER NOT NULL, series INTEGER NOT NULL, measurement_id VARCHAR NOT NULL,
    is_ceiling BOOLEAN NOT NULL, withdrawn BOOLEAN NOT NULL,
    status VARCHAR NOT NULL, reason VARCHAR, install VARCHAR,
    time_ns DOUBLE, low_ns DOUBLE, high_ns DOUBLE, best_ns DOUBLE, p10_ns DOUBLE, p90_ns DOUBLE,
    processes INTEGER NOT NULL, samples INTEGER NOT NULL, clean_share DOUBLE, noise_floor DOUBLE,
    rate DOUBLE, rate_low DOUBLE, rate_high DOUBLE, unit VARCHAR NOT NULL,
    share_of_ceiling DOUBLE, ceiling_case VARCHAR, ceiling_rate DOUBLE, ceiling_unit VARCHAR,
    max_absolute_error DOUBLE, max_relative_error DOUBLE, tolerance DOUBLE, first_call_ns BIGINT,
    flags VARCHAR[] NOT NULL, flop DOUBLE, bytes DOUBLE, elements DOUBLE, tokens DOUBLE,
    footprint_bytes BIGINT NOT NULL, store VARCHAR, bound VARCHAR, attributes JSON NOT NULL
);
COMMENT ON TABLE measurement IS 'All samples of one series in one run, summarised; also what was not run, with its reason.';
COMMENT ON COLUMN measurement.noise_floor IS 'How far from 1 the ratio of this call to itself lay, as a share, in an A/A run; null elsewhere.';
COMMENT ON COLUMN measurement.run IS 'Run it belongs to.';
COMMENT ON COLUMN measurement.series IS 'Series it is a point of.';
COMMENT ON COLUMN measurement.measurement_id IS 'Hash of run_id, case, variant, condition, backend, device and threads.';
COMMENT ON COLUMN measurement.is_ceiling IS 'Whether it is a limit of the machine.';
COMMENT ON COLUMN measurement.withdrawn IS 'Whether it was taken back.';
COMMENT ON COLUMN measurement.status IS 'ok, wrong, impossible, failed, timeout, unsupported, unavailable, skipped or interrupted.';
COMMENT ON COLUMN measurement.reason IS 'Why it is not ok.';
COMMENT ON COLUMN measurement.install IS 'How to get what was missing.';
COMMENT ON COLUMN measurement.time_ns IS 'Median over processes of the time of one call in ns; NULL unless ok.';
COMMENT ON COLUMN measurement.low_ns IS 'Lower end of its confidence interval.';
COMMENT ON COLUMN measurement.high_ns IS 'Upper end of its confidence interval.';
COMMENT ON COLUMN measurement.best_ns IS 'Fastest sample.';
COMMENT ON COLUMN measurement.p10_ns IS 'Time that 10 % of the samples stay below.';
COMMENT ON COLUMN measurement.p90_ns IS 'Time that 90 % of the samples stay below.';
COMMENT ON COLUMN measurement.processes IS 'Processes that timed it.';
COMMENT ON COLUMN measurement.samples IS 'Samples of all processes.';
COMMENT ON COLUMN measurement.clean_share IS 'Share of samples without a seen cause of disturbance, 0 to 1.';
COMMENT ON COLUMN measurement.rate IS 'Work over time in unit; NULL unless ok.';
COMMENT ON COLUMN measurement.rate_low IS 'Lower end of its confidence interval.';
COMMENT ON COLUMN measurement.rate_high IS 'Upper end of its confidence interval.';
COMMENT ON COLUMN measurement.unit IS 'Unit of rate: GFLOP/s, GB/s, GElement/s, token/s, or s where there is no rate.';
COMMENT ON COLUMN measurement.share_of_ceiling IS 'Rate as a share of the ceiling beside it, 0 to about 1.';
COMMENT ON COLUMN measurement.ceiling_case IS 'Ceiling that it is held against.';
COMMENT ON COLUMN measurement.ceiling_rate IS 'Rate of that ceiling in the same run.';
COMMENT ON COLUMN measurement.ceiling_unit IS 'Unit of ceiling_rate.';
COMMENT ON COLUMN measurement.max_absolute_error IS 'Largest absolute difference from the float64 reference.';
COMMENT ON COLUMN measurement.max_relative_error IS 'Largest relative difference from the float64 reference.';
COMMENT ON COLUMN measurement.tolerance IS 'Largest relative difference that is allowed.';
COMMENT ON COLUMN measurement.first_call_ns IS 'Median over processes of the first call, with compilation.';
COMMENT ON COLUMN measurement.flags IS 'Remarks on how it was measured.';
COMMENT ON COLUMN measurement.flop IS 'Floating point operations of one call.';
COMMENT ON COLUMN measurement.bytes IS 'Bytes that one call must move.';
COMMENT ON COLUMN measurement.elements IS 'Elements that one call produces.';
COMMENT ON COLUMN measurement.tokens IS 'Tokens that one call produces.';
COMMENT ON COLUMN measurement.footprint_bytes IS 'Memory that one call touches.';
COMMENT ON COLUMN measurement.store IS 'Kind of store instruction, regular or streaming, where it is known.';
COMMENT ON COLUMN measurement.bound IS 'Kind of ceiling that limits it.';
COMMENT ON COLUMN measurement.attributes IS 'Everything else that the runner wrote.';

CREATE TABLE newest AS FROM measurement LIMIT 0;
COMMENT ON TABLE newest IS 'A copy of the newest measurement of each series that was not withdrawn, so that pages need not search the history.';

CREATE TABLE sample (
    run INTEGER NOT NULL, series INTEGER NOT NULL, process INTEGER, status VARCHAR NOT NULL, first_call_ns BIGINT, batch BIGINT NOT NULL,
    time_ns BIGINT[] NOT NULL, clean BOOLEAN[], cpu_ns BIGINT[], switches BIGINT[], probe_ns BIGINT[], round BIGINT[],
    covariates JSON
);
COMMENT ON TABLE sample IS 'Raw samples: one row a process and measurement.';
COMMENT ON COLUMN sample.run IS 'Run they belong to.';
COMMENT ON COLUMN sample.series IS 'Series they belong to.';
COMMENT ON COLUMN sample.process IS 'Process that took them.';
COMMENT ON COLUMN sample.status IS 'Status that the process reported.';
COMMENT ON COLUMN sample.first_call_ns IS 'Time of the first call of the process.';
COMMENT ON COLUMN sample.batch IS 'Calls in one sample.';
COMMENT ON COLUMN sample.time_ns IS 'Wall time of each sample (of all its calls) in ns.';
COMMENT ON COLUMN sample.clean IS 'Whether no cause of disturbance was seen.';
COMMENT ON COLUMN sample.cpu_ns IS 'Processor time in ns.';
COMMENT ON COLUMN sample.switches IS 'Involuntary context switches.';
COMMENT ON COLUMN sample.probe_ns IS 'Noise probe of the same round in ns.';
COMMENT ON COLUMN sample.round IS 'Round, which pairs samples of variants that ran together.';
COMMENT ON COLUMN sample.covariates IS 'Everything else that the process reported with them.';

CREATE TABLE note (run INTEGER NOT NULL, "at" TIMESTAMPTZ NOT NULL, topic VARCHAR NOT NULL, text VARCHAR NOT NULL, attributes JSON NOT NULL);
COMMENT ON TABLE note IS 'What is worth knowing about a run as a whole.';
COMMENT ON COLUMN note.run IS 'Run it belongs to.';
COMMENT ON COLUMN note."at" IS 'When it was written.';
COMMENT ON COLUMN note.topic IS 'What it is about.';
COMMENT ON COLUMN note.text IS 'The note.';
COMMENT ON COLUMN note.attributes IS 'Figures that belong to it.';

CREATE TABLE statement (
    id VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, "at" TIMESTAMPTZ NOT NULL, author VARCHAR NOT NULL, subject VARCHAR,
    content JSON NOT NULL
);
COMMENT ON TABLE statement IS 'Annotations, withdrawals, names, decisions and acceptances, as the ledger has them.';
COMMENT ON COLUMN statement.id IS 'UUID (version 7) of the statement.';
COMMENT ON COLUMN statement.kind IS 'What it states.';
COMMENT ON COLUMN statement.sha256 IS 'Entry of the ledger that holds it.';
COMMENT ON COLUMN statement."at" IS 'When it was made.';
COMMENT ON COLUMN statement.author IS 'Who made it.';
COMMENT ON COLUMN statement.subject IS 'Run, withdrawal, machine or series that it is about.';
COMMENT ON COLUMN statement.content IS 'The statement.';

CREATE TABLE setting (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
COMMENT ON TABLE setting IS 'What the index remembers about itself: cursor in the ledger, generation.';
COMMENT ON COLUMN setting.name IS 'Which.';
COMMENT ON COLUMN setting.value IS 'Its value.';

CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE schema_version IS 'Migrations that were applied; the highest version is that of the schema.';
COMMENT ON COLUMN schema_version.version IS 'Number of the schema after the migration.';
COMMENT ON COLUMN schema_version.name IS 'Name of the migration.';
COMMENT ON COLUMN schema_version.applied IS 'When it was applied.';

-- Views: the contract of pages, reports and people. -------------------------------------------------------------

CREATE MACRO described(source) AS TABLE
SELECT
    m.measurement_id, r.run_id, r.started, r.machine_id, coalesce(k.given_name, k.name) AS machine, r.environment_id,
    r.profile, r.effort, coalesce(r.protocol ->> 'purpose', 'series') AS purpose, r.flopwatch_commit, s.series_id, s.kernel, s.case_id, s.variant, s.condition, s.backend,
    s.device, s.threads, m.status, m.reason, m.install, m.time_ns, m.low_ns, m.high_ns, m.best_ns, m.p10_ns, m.p90_ns,
    m.processes, m.samples, m.clean_share, m.noise_floor, m.rate, m.rate_low, m.rate_high, m.unit, m.share_of_ceiling,
    m.ceiling_case, m.ceiling_rate, m.ceiling_unit, m.max_absolute_error, m.max_relative_error, m.tolerance,
    m.first_call_ns, m.flags, m.flop, m.bytes, m.elements, m.tokens, m.footprint_bytes, m.store, m.bound,
    m.attributes, m.is_ceiling, m.withdrawn
FROM query_table(source) AS m
JOIN run AS r USING (run)
JOIN series AS s USING (series)
JOIN machine AS k ON k.machine_id = r.machine_id;

CREATE VIEW board AS
SELECT * EXCLUDE (is_ceiling, withdrawn) FROM described('measurement') WHERE NOT is_ceiling AND NOT withdrawn;
COMMENT ON VIEW board IS 'One row a measurement of any run, without ceilings and withdrawn results.';
COMMENT ON COLUMN board.run_id IS 'Run it belongs to.';
COMMENT ON COLUMN board.started IS 'When the run began.';
COMMENT ON COLUMN board.machine_id IS 'Machine that measured.';
COMMENT ON COLUMN board.machine IS 'Name of the machine.';
COMMENT ON COLUMN board.environment_id IS 'Environment it ran in.';
COMMENT ON COLUMN board.profile IS 'Which cases the run was asked for.';
COMMENT ON COLUMN board.effort IS 'How many processes the run was asked for.';
COMMENT ON COLUMN board.purpose IS 'Why it was measured: series (a run of the installed environment, or a job that repeats the one before), matrix or bisect (environments side by side), reproduction (of an older run), confirmation (of a change). Only series makes history.';
COMMENT ON COLUMN board.flopwatch_commit IS 'Commit of flopwatch that measured.';

CREATE VIEW latest AS
SELECT * EXCLUDE (is_ceiling, withdrawn) FROM described('newest') WHERE NOT is_ceiling;
COMMENT ON VIEW latest IS 'The newest row of each series whose purpose is series, without ceilings and withdrawn results.';

CREATE VIEW noise_floors AS
SELECT series_id, arg_max(noise_floor, started) AS noise_floor, max(started) AS measured, count(*)::INTEGER AS runs
FROM board WHERE noise_floor IS NOT NULL GROUP BY series_id;
COMMENT ON VIEW noise_floors IS 'The newest noise floor of each series, from runs that measured each call against itself (A/A).';
COMMENT ON COLUMN noise_floors.measured IS 'When it was measured last.';
COMMENT ON COLUMN noise_floors.runs IS 'How many runs measured it.';

CREATE VIEW ceilings AS
SELECT * EXCLUDE (is_ceiling, withdrawn) FROM described('measurement') WHERE is_ceiling AND NOT withdrawn;
COMMENT ON VIEW ceilings IS 'One row a ceiling of any run: a limit of the machine.';

CREATE VIEW latest_ceilings AS
SELECT * EXCLUDE (is_ceiling, withdrawn) FROM described('newest') WHERE is_ceiling;
COMMENT ON VIEW latest_ceilings IS 'The newest row of each ceiling of each machine.';

CREATE VIEW problems AS
FROM latest WHERE status IN ('wrong', 'impossible', 'failed', 'timeout', 'interrupted');
COMMENT ON VIEW problems IS 'Newest rows that went wrong.';

CREATE VIEW absent AS
FROM latest WHERE status IN ('unsupported', 'unavailable', 'skipped');
COMMENT ON VIEW absent IS 'Newest rows of what could not run, with the reason and how to get it.';

CREATE VIEW runs AS
SELECT
    r.run_id, r.started, r.ended, r.machine_id, coalesce(k.given_name, k.name) AS machine, r.environment_id,
    r.profile, r.effort, CASE WHEN r.interrupted THEN 'interrupted' ELSE 'complete' END AS status,
    coalesce(r.protocol ->> 'purpose', 'series') AS purpose, r.protocol ->> '$.matrix.id' AS matrix_id,
    r.protocol ->> '$.matrix.environment' AS matrix_environment, r.protocol ->> '$.reproduces.run' AS reproduces,
    r.measurements, r.ok, r.not_ok, r.labels, r.command, r.flopwatch_version, r.flopwatch_commit, r.sha256,
    e.received
FROM run AS r
JOIN machine AS k USING (machine_id)
JOIN entry AS e USING (sha256)
WHERE NOT r.withdrawn;
COMMENT ON VIEW runs IS 'One row a run that was not withdrawn.';
COMMENT ON COLUMN runs.machine IS 'Name of the machine.';
COMMENT ON COLUMN runs.status IS 'complete or interrupted.';
COMMENT ON COLUMN runs.matrix_id IS 'Matrix or step of a bisection that it is one environment of: runs with the same id were measured side by side.';
COMMENT ON COLUMN runs.matrix_environment IS 'What its environment is called there.';
COMMENT ON COLUMN runs.reproduces IS 'Run that it repeats.';
COMMENT ON COLUMN runs.received IS 'When the ledger first had it.';

CREATE VIEW machines AS
SELECT
    k.machine_id, coalesce(k.given_name, k.name) AS machine, k.cpu_model, k.cores, k.threads,
    round(k.memory_bytes / 1073741824, 1) AS memory_gib, k.devices, k.attributes,
    min(r.started) AS first_seen, max(r.started) AS last_seen, count(*) AS runs
FROM machine AS k
JOIN run AS r ON r.machine_id = k.machine_id AND NOT r.withdrawn
GROUP BY ALL;
COMMENT ON VIEW machines IS 'One row a machine that has a run.';
COMMENT ON COLUMN machines.machine IS 'Its name.';
COMMENT ON COLUMN machines.memory_gib IS 'Main memory in GiB.';
COMMENT ON COLUMN machines.first_seen IS 'Start of its first run.';
COMMENT ON COLUMN machines.last_seen IS 'Start of its newest run.';
COMMENT ON COLUMN machines.runs IS 'How many runs it has.';

CREATE VIEW environments AS SELECT environment_id, interpreter, packages, blas, attributes FROM environment;
COMMENT ON VIEW environments IS 'One row an environment.';

CREATE VIEW samples AS
SELECT
    m.measurement_id, r.run_id, m.run, s.process, p.block, s.status, s.first_call_ns, s.batch, s.time_ns, s.clean,
    s.cpu_ns, s.switches, s.probe_ns, s.round, s.covariates
FROM sample AS s
JOIN measurement AS m USING (run, series)
JOIN run AS r USING (run)
LEFT JOIN process AS p ON p.run = s.run AND p.process = s.process
WHERE NOT m.withdrawn;
COMMENT ON VIEW samples IS 'Raw samples, one row a process and measurement, of the runs whose samples are indexed.';
COMMENT ON COLUMN samples.measurement_id IS 'Measurement they belong to.';
COMMENT ON COLUMN samples.run_id IS 'Run they belong to.';
COMMENT ON COLUMN samples.block IS 'Randomised block of the process.';

CREATE VIEW notes AS
SELECT r.run_id, n.at, n.topic, n.text FROM note AS n JOIN run AS r USING (run) WHERE NOT r.withdrawn;
COMMENT ON VIEW notes IS 'Notes on runs.';
COMMENT ON COLUMN notes.run_id IS 'Run it belongs to.';

CREATE VIEW withdrawals AS
SELECT
    w.id AS withdrawal_id, w.at, w.author, w.subject AS run_id, w.content ->> 'reason' AS reason,
    coalesce(from_json(w.content -> 'measurements', '["VARCHAR"]'), []) AS measurement_ids,
    u.at AS undone_at, u.content ->> 'reason' AS undone_reason
FROM statement AS w
LEFT JOIN (SELECT subject, min("at") AS "at", arg_min(content, "at") AS content FROM statement WHERE kind = 'reinstatement' GROUP BY subject) AS u
    ON u.subject = w.id
WHERE w.kind = 'withdrawal';
COMMENT ON VIEW withdrawals IS 'Results that were taken back, with the reason, and whether that was undone.';
COMMENT ON COLUMN withdrawals.withdrawal_id IS 'UUID of the withdrawal.';
COMMENT ON COLUMN withdrawals."at" IS 'When it was made.';
COMMENT ON COLUMN withdrawals.author IS 'Who made it.';
COMMENT ON COLUMN withdrawals.run_id IS 'Run it is about.';
COMMENT ON COLUMN withdrawals.reason IS 'Why.';
COMMENT ON COLUMN withdrawals.measurement_ids IS 'Measurements it is about; empty for the whole run.';
COMMENT ON COLUMN withdrawals.undone_at IS 'When it was undone; NULL if it stands.';
COMMENT ON COLUMN withdrawals.undone_reason IS 'Why it was undone.';

CREATE VIEW withdrawn AS
SELECT d.* EXCLUDE (is_ceiling, withdrawn) FROM described('measurement') AS d WHERE withdrawn;
COMMENT ON VIEW withdrawn IS 'Withdrawn rows, so that they stay citable; the reasons are in withdrawals.';

CREATE VIEW annotations AS
SELECT
    id AS annotation_id, "at", author, content ->> 'text' AS text, content ->> 'machine' AS machine_id,
    content ->> 'series' AS series_id, content ->> 'run' AS run_id, content ->> 'version' AS version,
    (content ->> 'since')::TIMESTAMPTZ AS since, (content ->> 'until')::TIMESTAMPTZ AS until
FROM statement WHERE kind = 'annotation';
COMMENT ON VIEW annotations IS 'Remarks on machines, series, runs, versions and spans of time.';
COMMENT ON COLUMN annotations.annotation_id IS 'UUID of the annotation.';
COMMENT ON COLUMN annotations."at" IS 'When it was made.';
COMMENT ON COLUMN annotations.author IS 'Who made it.';
COMMENT ON COLUMN annotations.text IS 'The remark.';
COMMENT ON COLUMN annotations.machine_id IS 'Machine it is about, if any.';
COMMENT ON COLUMN annotations.series_id IS 'Series it is about, if any.';
COMMENT ON COLUMN annotations.run_id IS 'Run it is about, if any.';
COMMENT ON COLUMN annotations.version IS 'Version it is about, if any.';
COMMENT ON COLUMN annotations.since IS 'Begin of the span of time it is about, if any.';
COMMENT ON COLUMN annotations.until IS 'End of that span.';

CREATE VIEW decisions AS
SELECT
    id AS decision_id, "at", author, kind, subject AS series_id, content ->> 'decision' AS decision,
    (content ->> 'change_at')::TIMESTAMPTZ AS change_at, content ->> 'reason' AS reason, content -> 'attributes' AS attributes
FROM statement WHERE kind IN ('decision', 'acceptance');
COMMENT ON VIEW decisions IS 'What was decided about alerts, and which changes were accepted.';
COMMENT ON COLUMN decisions.decision_id IS 'UUID of the decision.';
COMMENT ON COLUMN decisions."at" IS 'When it was made.';
COMMENT ON COLUMN decisions.author IS 'Who made it.';
COMMENT ON COLUMN decisions.kind IS 'decision or acceptance.';
COMMENT ON COLUMN decisions.series_id IS 'Series it is about.';
COMMENT ON COLUMN decisions.decision IS 'What was decided; NULL for an acceptance.';
COMMENT ON COLUMN decisions.change_at IS 'When the change happened.';
COMMENT ON COLUMN decisions.reason IS 'Why.';
COMMENT ON COLUMN decisions.attributes IS 'Figures that belong to it.';

CREATE VIEW reproductions AS
SELECT
    x.original_run_id, x.run_id, x.started, x.machine_id, x.machine, x.comparability, x.differences,
    x.result.case AS case_id, x.result.variant AS variant, x.result.condition AS condition, x.result.backend AS backend,
    x.result.device AS device, x.result.threads AS threads, x.result.verdict AS verdict, x.result.ratio AS ratio,
    x.result.low AS low, x.result.high AS high, x.result.predicted AS predicted, x.result.inside AS inside,
    x.result.reason AS reason
FROM (
    SELECT
        n.attributes ->> 'original' AS original_run_id, r.run_id, r.started, r.machine_id,
        coalesce(k.given_name, k.name) AS machine, n.attributes ->> 'comparability' AS comparability,
        n.attributes -> 'differences' AS differences,
        unnest(from_json(n.attributes -> 'results', '[{"case": "VARCHAR", "variant": "VARCHAR", "condition": "VARCHAR",
            "backend": "VARCHAR", "device": "VARCHAR", "threads": "INTEGER", "verdict": "VARCHAR", "ratio": "DOUBLE",
            "low": "DOUBLE", "high": "DOUBLE", "predicted": "DOUBLE", "inside": "BOOLEAN", "reason": "VARCHAR"}]')) AS result
    FROM note AS n
    JOIN run AS r USING (run)
    JOIN machine AS k ON k.machine_id = r.machine_id
    WHERE n.topic = 'reproduction' AND NOT r.withdrawn
) AS x;
COMMENT ON VIEW reproductions IS 'One row for each attempt to measure a result again, with its verdict.';
COMMENT ON COLUMN reproductions.original_run_id IS 'Run that was repeated.';
COMMENT ON COLUMN reproductions.run_id IS 'Run that repeated it.';
COMMENT ON COLUMN reproductions.started IS 'When the repetition began.';
COMMENT ON COLUMN reproductions.machine_id IS 'Machine that repeated it.';
COMMENT ON COLUMN reproductions.machine IS 'Its name.';
COMMENT ON COLUMN reproductions.comparability IS 'same, with caveats, or no.';
COMMENT ON COLUMN reproductions.differences IS 'What differs between the two runs: what, before, now, and whether it forbids a verdict.';
COMMENT ON COLUMN reproductions.verdict IS 'reproduced, not reproduced or not comparable.';
COMMENT ON COLUMN reproductions.ratio IS 'New time over original time.';
COMMENT ON COLUMN reproductions.low IS 'Lower end of its confidence interval.';
COMMENT ON COLUMN reproductions.high IS 'Upper end of its confidence interval.';
COMMENT ON COLUMN reproductions.predicted IS 'Share by which the new time was to be expected to lie off at most.';
COMMENT ON COLUMN reproductions.inside IS 'Whether it lies within that.';
COMMENT ON COLUMN reproductions.reason IS 'Why there is no better verdict.';

CREATE VIEW reproduced AS
SELECT
    b.machine_id, any_value(b.machine) AS machine, count(*)::INTEGER AS results, count(a.verdict)::INTEGER AS measured_again,
    count(*) FILTER (a.verdict = 'reproduced')::INTEGER AS reproduced,
    count(*) FILTER (a.verdict = 'reproduced') / count(*) AS share
FROM (FROM board WHERE purpose = 'series' AND status = 'ok') AS b
LEFT JOIN (
    SELECT original_run_id, case_id, variant, condition, backend, device, threads, arg_max(verdict, started) AS verdict
    FROM reproductions WHERE verdict != 'not comparable' GROUP BY ALL
) AS a
    ON a.original_run_id = b.run_id AND a.case_id = b.case_id AND a.variant = b.variant AND a.condition = b.condition
    AND a.backend = b.backend AND a.device = b.device AND a.threads = b.threads
GROUP BY GROUPING SETS ((b.machine_id), ())
HAVING count(*) > 0;
COMMENT ON VIEW reproduced IS 'How many results were measured again and came out again: one row a machine, and one of all with machine_id NULL.';
COMMENT ON COLUMN reproduced.machine_id IS 'Machine of the results; NULL for all machines.';
COMMENT ON COLUMN reproduced.machine IS 'Its name.';
COMMENT ON COLUMN reproduced.results IS 'Results that are ok, of runs that are no repetition and no matrix.';
COMMENT ON COLUMN reproduced.measured_again IS 'Those that were measured again in a way that can be compared.';
COMMENT ON COLUMN reproduced.reproduced IS 'Those whose newest repetition came out again.';
COMMENT ON COLUMN reproduced.share IS 'The reproduced ones among all results, 0 to 1.';
