# Shows the steps of a script: number, what, how long; and when one fails: which, why (its last lines), what to do.
# Sourced by bash scripts. Set STEPS (how many there are) and LOG_DIR before the first step.

STEP=0

# step WHAT ADVICE COMMAND… : runs COMMAND with its output in a log. WATCH, if set, is a folder whose size is shown.
step() {
    local what=$1 advice=$2 log pid status=0 started=$SECONDS shown=$SECONDS
    shift 2
    STEP=$((STEP + 1))
    mkdir -p "$LOG_DIR"
    log="$LOG_DIR/step-$STEP.log"
    printf '[%d/%d] %s ' "$STEP" "$STEPS" "$what"
    # A process group of its own, so that Ctrl-C stops all of it and not just this script.
    set -m
    ("$@") >"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    trap 'kill -- "-$pid" 2>/dev/null; echo; echo "interrupted; make again goes on from the last finished step"; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        progress
    done
    wait "$pid" || status=$?
    trap - INT TERM
    [ -t 1 ] && printf '\r\033[K[%d/%d] %s ' "$STEP" "$STEPS" "$what"
    if [ "$status" -ne 0 ]; then
        printf 'FAILED (exit %d, after %d s)\n\n' "$status" $((SECONDS - started))
        tail -n 15 "$log" | sed 's/^/    /'
        printf '\nWhat to do: %s\nFull log: %s\n' "$advice" "$log"
        exit 1
    fi
    printf 'done (%d s)\n' $((SECONDS - started))
}

# A sign of life: every second on a terminal, every 15 s in a log.
progress() {
    local every=15 size=
    [ -t 1 ] && every=1
    [ $((SECONDS - shown)) -ge "$every" ] || return 0
    shown=$SECONDS
    if [ -n "${WATCH:-}" ]; then size=", $(du -sm "$WATCH" 2>/dev/null | cut -f1) MB"; fi
    if [ -t 1 ]; then
        printf '\r\033[K[%d/%d] %s … %d s%s ' "$STEP" "$STEPS" "$what" $((SECONDS - started)) "$size"
    else
        printf '… %d s%s ' $((SECONDS - started)) "$size"
    fi
}

# A step that had nothing to do.
step_done() {
    STEP=$((STEP + 1))
    printf '[%d/%d] %s\n' "$STEP" "$STEPS" "$1"
}

# die WHY WHAT_TO_DO
die() {
    printf '\nset-up stops: %s\nWhat to do: %s\n' "$1" "$2" >&2
    exit 1
}
