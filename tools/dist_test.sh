#!/usr/bin/env bash
# Evaluate with several processes: GPUs of one or more machines, or plain processes where there is no GPU.
#   tools/dist_test.sh CONFIG CHECKPOINT NUMBER [options of test.py]
# More machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, NUMBER is that of one machine.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT NUMBER [options of test.py]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
NUMBER=$3
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$NUMBER" \
    "$TOOLS/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
