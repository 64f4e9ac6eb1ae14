#!/bin/sh
# A pipeline for a declarative file in git; any CI can run it.
#
#   pipeline.sh propose [OPTION]... [FILE]...   for a pull request: check, diff, and a comment
#   pipeline.sh deliver [OPTION]... [FILE]...   for the main branch: carry out what was approved
#
# OPTIONs and FILEs are those of `reconcert diff`: -c reconcert.conf kong.yaml
#
# RECONCERT (reconcert)     the program
# COMMENT   (comment.md)    gets the comment for the pull request, in Markdown
# PLAN      (plan.json)     gets the plan, for deliver: keep it as an artifact
#
# deliver carries out the plan that propose has left; where there is none, it makes one first.
#
# Exit codes: 0 go on; 1 the file is invalid, or the work failed; 4 something is blocked or delayed,
# so a person should look; 64 wrong usage.
set -u
reconcert=${RECONCERT:-reconcert}
comment=${COMMENT:-comment.md}
plan=${PLAN:-plan.json}
now=$(date -u +%Y-%m-%dT%H:%M:%SZ) # one instant for all that is said

# quoted TITLE: standard input as a comment whose text cannot be taken for Markdown.
quoted() {
    printf '### %s\n\n' "$1"
    sed 's/^/    /'
}

# refuse CODE: what check said becomes the comment. Without problems of the file, it could not run.
refuse() {
    if [ "$1" -eq 1 ] && [ -n "$problems" ]; then
        printf '%s\n' "$problems"
        printf '%s\n' "$problems" | quoted 'The file is invalid' >"$comment"
    else
        printf '%s\n' "$said" | quoted 'Could not be checked' >"$comment"
    fi
    [ "$1" -ne 64 ] || return 64
    return 1
}

propose() {
    rm -f "$plan" # an older one must not be taken for this one's
    problems=$("$reconcert" check --now "$now" "$@" 2>"$comment")
    code=$?
    said=$(cat "$comment")
    [ -z "$said" ] || printf '%s\n' "$said" >&2
    [ "$code" -eq 0 ] || refuse "$code" || return
    "$reconcert" diff --now "$now" --format markdown --out "$plan" "$@" >"$comment" || return 1
    "$reconcert" diff --now "$now" --exit-code "$@" 2>/dev/null
    case $? in
    0) echo 'nothing to do' ;;
    2) echo "to be approved: $comment" ;;
    4) echo "blocked or delayed: $comment" && return 4 ;;
    *) return 1 ;;
    esac
}

deliver() {
    [ -e "$plan" ] || propose "$@" || return
    "$reconcert" apply "$plan" "$@"
}

case ${1:-} in
propose | deliver)
    stage=$1
    shift
    "$stage" "$@"
    ;;
*)
    echo 'usage: pipeline.sh propose|deliver [OPTION]... [FILE]...' >&2
    exit 64
    ;;
esac
