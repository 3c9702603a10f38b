# shellcheck shell=bash
# A SLURM of two nodes on this machine: munged, slurmctld and a slurmd on each of two hosts (tests/hosts/hosts.sh), all
# in one private folder. Sourced; needs root and Debian's slurm-wlm and munge.
#
#   cluster_up FOLDER [slurm.conf line...]   starts it and waits until both nodes are idle; cluster_down ends it
#   slurm COMMAND...                         runs sbatch, squeue, ... on the first node

need_slurm() {
  local tool
  need_namespaces
  for tool in munged slurmctld slurmd sbatch srun; do
    command -v "$tool" >/dev/null || skip "needs $tool (Debian: slurm-wlm, munge); launch/test --slurm installs it"
  done
}

slurm() { in_host n1 env SLURM_CONF="$cluster/slurm.conf" "$@"; }

write_slurm_conf() {
  cat >"$cluster/slurm.conf" <<CONF
ClusterName=rn
SlurmctldHost=n1($(host_address n1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=pmix
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
TmpFS=$cluster/tmp.%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.%n.log
ReturnToService=1
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=3600
InactiveLimit=0
KillWait=30
SlurmdTimeout=5
GresTypes=gpu
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=n1 NodeAddr=$(host_address n1) CPUs=2 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeAddr=$(host_address n2) CPUs=2 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES:4
$(printf '%s\n' "$@")
CONF
}

cluster_up() {
  local waited=0
  cluster=$1
  shift
  hosts_up "$cluster" n1 n2
  join_hosts n1 n2
  mkdir -p "$cluster"/{munge,state,spool.n1,spool.n2,tmp.n1,tmp.n2}
  chmod 755 "$cluster/munge"
  dd if=/dev/urandom of="$cluster/munge/key" bs=128 count=1 status=none
  chmod 400 "$cluster/munge/key"
  chown -R "$(id -u)" "$cluster/munge"
  write_slurm_conf "$@"
  # GPUs that are none: what the job scripts ask for can be granted.
  printf 'NodeName=n[1-2] Name=gpu File=/dev/null,/dev/zero\n' >"$cluster/gres.conf"

  # Munge identifies by user, over a socket in the file system: one daemon serves both hosts.
  in_host n1 munged --force --key-file "$cluster/munge/key" --socket "$cluster/munge/socket" \
    --pid-file "$cluster/munge/pid" --seed-file "$cluster/munge/seed" --log-file "$cluster/munge/log"
  slurm slurmctld -c
  for node in n1 n2; do in_host "$node" env SLURM_CONF="$cluster/slurm.conf" slurmd -N "$node"; done
  until [ "$(slurm sinfo -h -o %T 2>/dev/null)" = idle ]; do
    if [ $((++waited)) -gt 150 ]; then
      tail -n 20 "$cluster"/*.log
      fail 'SLURM did not start'
    fi
    sleep 0.2
  done
}

cluster_down() { hosts_down; }

job_state() { slurm scontrol show job "$1" -o | sed -n 's/.* JobState=\([A-Z_]*\) .*/\1/p'; }
job_field() { slurm scontrol show job "$1" -o | tr ' ' '\n' | sed -n "s/^$2=//p"; }
