# bash completion for pvimg
_pvimg()
{
	local cur prev command
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	command=${COMP_WORDS[1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "build plan lock list lint verify compare reproduce diff export import inspect publish manifest check-signature doctor cache clean help --version" -- "$cur")
		return
	fi
	case $prev in
	--out | --cache | --recipes)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--as-user)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	--keyring | --ovmf | --extra-disk | --ca | --cache-signers | --cache-credentials | --cache-key)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--suite)
		mapfile -t COMPREPLY < <(compgen -W "jammy noble resolute bookworm trixie" -- "$cur")
		return
		;;
	--accept-driver)
		mapfile -t COMPREPLY < <(compgen -W "kvm-xen" -- "$cur")
		return
		;;
	--driver)
		mapfile -t COMPREPLY < <(compgen -W "auto xl xen-in-qemu kvm-xen" -- "$cur")
		return
		;;
	--firmware)
		mapfile -t COMPREPLY < <(compgen -W "bios uefi" -- "$cur")
		return
		;;
	--format)
		mapfile -t COMPREPLY < <(compgen -W "raw qcow2 qcow2-zlib vhd vhd-tar-gz xva xva-xxhash raw-zst" -- "$cur")
		return
		;;
	--as)
		mapfile -t COMPREPLY < <(compgen -W "pvhvm hvm pvh pv" -- "$cur")
		return
		;;
	--mirror | --security | --set | --jobs | --parallel | --cache-limit | --cache-remote | --memory | --vcpus | --deadline | --to | --pin | --keep | --sign)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(pvimg help "$command" 2>/dev/null |
			sed -n 's/^  \(--[a-z-]*\).*/\1/p')" -- "$cur")
		return
	fi
	case $command in
	publish)
		mapfile -t COMPREPLY < <(compgen -f -W "$(pvimg list 2>/dev/null | cut -d' ' -f1)" -- "$cur")
		;;
	build | plan | lock | reproduce)
		mapfile -t COMPREPLY < <(compgen -W "$(pvimg list 2>/dev/null | cut -d' ' -f1)" -- "$cur")
		;;
	lint | verify | compare | diff | export | import | inspect | manifest | check-signature)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	cache)
		mapfile -t COMPREPLY < <(compgen -W "du gc verify" -- "$cur")
		;;
	help)
		mapfile -t COMPREPLY < <(compgen -W "build plan lock list lint verify compare reproduce diff export import inspect publish manifest check-signature doctor cache clean" -- "$cur")
		;;
	esac
}
complete -F _pvimg pvimg
