#!/usr/bin/env bash
# Train with several processes: GPUs of one or more machines, or plain processes where there is no GPU.
#   tools/dist_train.sh CONFIG NUMBER [options of train.py]
# More machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment, NUMBER is that of one machine.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG NUMBER [options of train.py]" >&2
    exit 2
fi
CONFIG=$1
NUMBER=$2
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$NUMBER" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "${@:3}"
