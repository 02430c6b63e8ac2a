"""Kubernetes: a CronJob for each node type, results into a volume or to a board."""

import json

from data.errors import BadInput
from runners.schedulers.base import File, NodeType, Plan, Run, Scheduler, Step, Write, times

__all__ = ["Kubernetes"]

_CLAIM = """\
# Run files, state and compiled loops; a claim that is there already stays as it is.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {claim}
  labels: {{app.kubernetes.io/name: flopwatch}}
spec:
  accessModes: [ReadWriteMany]
  resources:
    requests: {{storage: 20Gi}}
---
"""

_CRON_JOB = """\
# Node type {type}: one pod on each of {count} nodes, which has its processors for itself.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {full_name}
  labels: {{app.kubernetes.io/name: flopwatch, flopwatch/job: {name}, flopwatch/node-type: {type}}}
spec:
  schedule: {times}
  timeZone: Etc/UTC
  # A job that was missed is caught up once, until half of its rhythm has passed.
  startingDeadlineSeconds: {deadline_s}
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      completions: {count}
      parallelism: {count}
      backoffLimit: 2
      activeDeadlineSeconds: 43200
      template:
        metadata:
          labels: {{app.kubernetes.io/name: flopwatch, flopwatch/job: {name}, flopwatch/node-type: {type}}}
        spec:
          restartPolicy: Never
          # What was measured is kept when the pod is told to end.
          terminationGracePeriodSeconds: 120
          automountServiceAccountToken: false
          nodeSelector: {selector}
          affinity:
            podAntiAffinity:
              # never two measurements on one node
              requiredDuringSchedulingIgnoredDuringExecution:
                - topologyKey: kubernetes.io/hostname
                  labelSelector:
                    matchLabels: {{app.kubernetes.io/name: flopwatch}}
          securityContext:
            runAsNonRoot: true
            runAsUser: 1000
            fsGroup: 1000
            seccompProfile: {{type: RuntimeDefault}}
          containers:
            - name: flopwatch
              image: {image}
              args: {arguments}
              env:
                # The machine is the node, not the pod.
                - name: FLOPWATCH_MACHINE
                  valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}
                - name: FLOPWATCH_HOME
                  value: /var/lib/flopwatch/$(FLOPWATCH_MACHINE)
{environment}              resources:
                # Whole processors, requests like limits: no quota and no neighbour on them.
                requests: {resources}
                limits: {resources}
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities: {{drop: [ALL]}}
              volumeMounts:
                - {{name: home, mountPath: /var/lib/flopwatch}}
                - {{name: tmp, mountPath: /tmp}}
          volumes:
            - name: home
              {home}
            - name: tmp
              emptyDir: {{}}
"""

_WITH_UPLOAD = """\
                # kubectl create secret generic flopwatch --from-file=token
                - name: FLOPWATCH_TOKEN
                  valueFrom: {secretKeyRef: {name: flopwatch, key: token}}
"""


class Kubernetes(Scheduler):
    """A manifest for ``kubectl apply``."""

    name = "kubernetes"
    title = "Kubernetes CronJobs, one for each node type"

    def files(self, plan: Plan) -> list[File]:
        """Return the manifest."""
        if not plan.claim and not plan.upload:
            raise BadInput("a pod leaves nothing behind: give --claim NAME for a volume, or --upload URL")
        text = _CLAIM.format(claim=plan.claim) if plan.claim else ""
        text += "---\n".join(_cron_job(plan, one) for one in plan.node_types)
        return [File(plan.repository / f"flopwatch-{plan.name}.yaml", text)]

    def install(self, plan: Plan) -> list[Step]:
        """Write the manifest and apply it."""
        file = self.files(plan)[0]
        return [Write(file), Run(("kubectl", "apply", "--filename", str(file.path)))]

    def remove(self, plan: Plan) -> list[Step]:
        """Delete the CronJobs; the claim and the file stay, for results may be in it."""
        selector = f"app.kubernetes.io/name=flopwatch,flopwatch/job={plan.name}"
        return [Run(("kubectl", "delete", "cronjob", "--selector", selector))]

    def status(self, plan: Plan) -> list[Run]:
        """Ask for the CronJobs and their pods."""
        selector = f"app.kubernetes.io/name=flopwatch,flopwatch/job={plan.name}"
        return [Run(("kubectl", "get", "cronjobs,jobs,pods", "--selector", selector), optional=True)]


def _cron_job(plan: Plan, node_type: NodeType) -> str:
    """Return one document; what a node type wants is cpu, memory, gpu and count, and all else is a label of nodes."""
    wants = dict(node_type.wants)
    count, gpu = wants.pop("count", "1"), wants.pop("gpu", "")
    cpu, memory = wants.pop("cpu", "4"), wants.pop("memory", "16Gi")
    if not (count.isdecimal() and int(count) and cpu.isdecimal() and (gpu or "1").isdecimal()):
        raise BadInput(
            f"--node-type {node_type.name}: count, cpu and gpu are whole numbers, such as count=3,cpu=8,gpu=1"
        )
    resources = {"cpu": cpu, "memory": memory} | ({"nvidia.com/gpu": gpu} if gpu else {})
    home = f"persistentVolumeClaim: {{claimName: {plan.claim}}}" if plan.claim else "emptyDir: {}"
    variables = {key: value for key, value in plan.variables.items() if key != "FLOPWATCH_HOME"}
    extra = "".join(
        f"                - name: {key}\n                  value: {json.dumps(value)}\n"
        for key, value in variables.items()
    )
    return _CRON_JOB.format(
        name=plan.name,
        type=node_type.name,
        full_name=f"flopwatch-{plan.name}-{node_type.name}"[:52],
        count=int(count),
        times=json.dumps(times(plan)),
        deadline_s=max(600, plan.every_s // 2),
        selector=json.dumps(wants),
        image=json.dumps(plan.image),
        arguments=json.dumps(["job", *plan.options]),
        environment=extra + (_WITH_UPLOAD if plan.upload else ""),
        resources=json.dumps(resources),
        home=home,
    )
