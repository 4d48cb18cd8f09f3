#!/bin/bash
# A Ray cluster of several nodes on this machine, for the time of one command:
#
#     bash local-nodes.sh 4 segstudy run my-images --executor ray
#
# Each node is a raylet with its own workers, as on a machine of its own. NODE_CPUS (default 1) is the number of
# cores of each. Other clusters on this machine are left alone.
set -euo pipefail

num_nodes=$1
shift
cpus=${NODE_CPUS:-1}
port=$((20000 + $$ % 10000))
folder=$(mktemp -d /tmp/nodes-XXXXXX)
nodes=()
# Nobody else can use this cluster: without the token, Ray does what any program that reaches its port asks for.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_ADDRESS="127.0.0.1:$port"

stop_nodes() {
    kill "${nodes[@]}" 2>/dev/null || true
    wait "${nodes[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop_nodes EXIT

start_node() { # options of `ray start`
    env -u RAY_ADDRESS ray start "$@" --num-cpus="$cpus" --temp-dir="$folder" --disable-usage-stats \
        --block >/dev/null &
    nodes+=($!)
}

wait_until_ready() { # number of nodes
    python3 - "$1" <<'END'
import sys
import time

import ray

ray.init(log_to_driver=False, logging_level="ERROR")
for _ in range(60):
    num_ready = sum(node["Alive"] for node in ray.nodes())
    if num_ready == int(sys.argv[1]):
        sys.exit()
    time.sleep(1)
sys.exit(f"only {num_ready} of {sys.argv[1]} nodes are ready")
END
}

start_node --head --node-ip-address=127.0.0.1 --port="$port" --ray-client-server-port=$((port + 1)) \
    --include-dashboard=false
for _ in $(seq 120); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "${nodes[0]}" || exit 1
    sleep 1
done
wait_until_ready 1
for number in $(seq 2 "$num_nodes"); do # one after the other: starting is the hardest work of a node
    start_node --address="127.0.0.1:$port"
    wait_until_ready "$number"
done
"$@"
