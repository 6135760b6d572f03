"""The index of the list of threats: number -> what it is about, and the tests that show what it requires.

A name is the file beneath tests/, then the test. `BAD_INPUT` holds the cases that are required beside the numbered ones.
"""

from __future__ import annotations

REQUIRED = {*range(1, 9), *range(11, 25), 26, 27, 29, 36, 37, 39}
"""The rows that bind what exists so far."""

THREATS: dict[int, tuple[str, list[str]]] = {
    1: (
        "one normaliser for every protocol",
        [
            "security/test_fuzz.py::test_1_one_path_whatever_the_protocol",
            "security/test_fuzz.py::test_1_12_39_ftp_lines",
            "security/test_fuzz.py::test_1_12_39_sftp_requests",
            "managers/ftp/test_attacks.py::test_1_paths_are_those_of_the_one_normaliser",
            "managers/ftp/test_attacks.py::test_1_nothing_leads_out_of_the_root",
            "managers/sftp/test_requests.py::test_realpath",
            "test_paths.py::test_all_bytes_lead_to_a_path_or_an_error",
            "test_paths.py::test_what_a_client_means",
            "test_file_system_view.py::test_every_method_resolves",
        ],
    ),
    2: (
        "names of users that would become paths",
        [
            "security/test_secrets.py::test_2_user_names_that_would_become_paths",
            "configurator/test_loader.py::test_user_names",
            "users/test_record.py::test_names_that_nobody_has",
            "services/local/test_account.py::test_home_of_nobody",
        ],
    ),
    3: (
        "symbolic links, and races with them",
        [
            "security/test_links.py::test_3_links_lead_nobody_out_by_ftp",
            "security/test_links.py::test_3_links_lead_nobody_out_by_sftp",
            "security/test_links.py::test_3_a_link_itself_can_be_removed",
            "security/test_links.py::test_3_a_link_that_is_swapped_in",
            "services/local/test_beneath.py::test_swapped_folder_never_leads_out",
            "services/local/test_beneath.py::test_file_swapped_in_the_last_instant",
            "services/local/test_beneath.py::test_no_change_reaches_what_is_outside",
            "services/local/test_links.py::TestLinks::test_one_that_leaves_tells_nothing",
            "managers/sftp/test_requests.py::test_links_are_refused_with_a_reason",
        ],
    ),
    4: (
        "templates",
        [
            "security/test_code.py::test_source_is_free_of",
            "security/test_names.py::test_26_names_that_others_fold_escape_or_expand",
            "security/test_fuzz.py::test_1_12_39_ftp_lines",
        ],
    ),
    5: (
        "messages and commands before the log-in",
        [
            "managers/sftp/test_log_in.py::test_messages_before_the_log_in",
            "managers/sftp/test_log_in.py::test_success_without_the_hook_gives_no_session",
            "security/test_before_log_in.py::test_5_messages_before_there_are_keys",
            "security/test_before_log_in.py::test_5_no_command_works_before_the_log_in",
            "security/test_before_log_in.py::test_5_who_fails_halfway_is_nobody",
        ],
    ),
    6: (
        "strict key exchange",
        [
            "managers/sftp/test_log_in.py::test_ssh_audit",
            "security/test_before_log_in.py::test_6_nothing_is_smuggled_into_a_strict_key_exchange",
        ],
    ),
    7: (
        "RSA over SHA-1",
        [
            "managers/sftp/test_log_in.py::test_ssh_audit",
            "security/test_algorithms.py::test_7_clients_are_not_told_to_sign_with_sha_1",
            "security/test_algorithms.py::test_7_an_rsa_key_logs_in_with_sha_2_alone",
        ],
    ),
    8: (
        "weak algorithms",
        ["managers/sftp/test_log_in.py::test_ssh_audit", "managers/sftp/test_manager.py::test_unknown_algorithm"],
    ),
    9: (
        "authentication fails closed, and opens no file",
        [
            "users/test_log_in.py::test_keys_that_are_none",
            "users/test_log_in.py::test_hostile_passwords_are_failed_log_ins",
            "users/test_gate_defence.py::test_whatever_breaks_nobody_is_let_in_who_should_not_be",
            "managers/sftp/test_log_in.py::test_a_check_that_fails_lets_nobody_in",
            "security/test_code.py::test_source_is_free_of",
        ],
    ),
    10: (
        "one decision, and permissions for each operation",
        [
            "users/test_log_in.py::test_decision_is_in_one_place",
            "users/test_permission_layer.py::test_each_verb_alone_allows_its_own_calls_only",
            "users/test_permission_layer.py::test_matrix_of_moves",
            "users/test_over_protocols.py::test_each_verb",
        ],
    ),
    11: (
        "data that runs",
        [
            "security/test_secrets.py::test_11_a_planted_pickle_is_not_run",
            "security/test_code.py::test_source_is_free_of",
            "security/test_code.py::test_no_rule_is_waived_that_runs_data",
            "test_data_store.py::test_a_planted_pickle_is_an_error_and_is_never_run",
            "test_imports.py::test_libraries_stay_in_their_rooms",
        ],
    ),
    12: (
        "control characters in names",
        [
            "security/test_fuzz.py::test_1_12_39_ftp_lines",
            "security/test_fuzz.py::test_1_12_39_sftp_requests",
            "managers/ftp/test_attacks.py::test_12_control_characters_are_refused_and_the_session_lives",
            "managers/ftp/test_attacks.py::test_12_any_byte_in_any_place",
            "managers/ftp/test_attacks.py::test_12_names_before_the_log_in",
            "managers/sftp/test_requests.py::test_names_that_cannot_be",
            "managers/sftp/test_log_in.py::test_odd_user_names",
            "managers/sftp/test_scp.py::test_names_with_control_characters_are_refused",
            "security/test_names.py::test_27_a_log_line_is_a_line",
        ],
    ),
    13: ("STARTTLS injection", ["managers/ftp/test_tls.py::test_nothing_is_taken_from_before_the_handshake"]),
    14: (
        "bounce and theft of data connections",
        [
            "managers/ftp/test_attacks.py::test_14_active_mode_is_off_by_default",
            "managers/ftp/test_attacks.py::test_14_active_mode_goes_to_the_clients_own_address_alone",
            "managers/ftp/test_attacks.py::test_14_a_data_connection_from_another_address_is_refused",
            "managers/ftp/test_attacks.py::test_14_one_connection_then_the_port_is_closed_and_ports_are_random",
            "security/test_floods.py::test_14_nmap_cannot_bounce",
            "security/test_floods.py::test_14_a_scan_through_port_gets_nowhere",
        ],
    ),
    15: (
        "theft of TLS data connections",
        [
            "managers/ftp/test_tls.py::test_data_connections_must_resume_where_asked",
            "managers/ftp/test_tls.py::test_another_sessions_ticket_on_the_same_server",
        ],
    ),
    16: (
        "other protocols on our ports",
        [
            "managers/ftp/test_tls.py::test_alpn",
            "managers/ftp/test_attacks.py::test_16_http_is_turned_away",
            "managers/ftp/test_attacks.py::test_16_ten_wrong_commands_before_the_log_in",
            "security/test_algorithms.py::test_17_tls_behind_auth",
            "security/test_floods.py::test_23_what_is_no_ssh_is_closed",
        ],
    ),
    17: (
        "passwords in clear, weak TLS",
        [
            "managers/ftp/test_settings.py::test_tls_is_required_where_others_can_listen",
            "managers/ftp/test_tls.py::test_required_tls",
            "managers/ftp/test_tls.py::test_leaving_clear_text_is_logged",
            "managers/ftp/test_tls.py::test_sslscan_finds_forward_secret_aead_suites_only",
            "security/test_algorithms.py::test_17_tls_behind_auth",
        ],
    ),
    18: (
        "who exists",
        [
            "users/test_timing.py::test_nobody_can_tell_by_the_clock_who_exists",
            "users/test_over_protocols.py::test_same_reply_whatever_is_wrong",
            "users/test_log_in.py::test_the_same_is_done_for_every_failure",
        ],
    ),
    19: (
        "guessing",
        [
            "security/test_floods.py::test_19_guessing_ends_in_a_ban_and_others_log_in",
            "security/test_floods.py::test_19_another_users_ban_is_not_ours",
            "users/test_defence.py::test_tables_are_bounded",
            "users/test_defence.py::test_on_by_default",
            "users/test_gate_defence.py::test_thousand_guesses_from_one_place_and_nobody_else_notices",
            "users/test_over_protocols.py::test_guessing_ends_in_a_ban_of_all_managers",
            "managers/ftp/test_attacks.py::test_19_three_wrong_passwords",
        ],
    ),
    20: (
        "half-open connections",
        [
            "security/test_floods.py::test_20_two_thousand_silent_sockets_and_a_real_log_in",
            "users/test_floods.py::test_thousand_silent_connections_of_one_origin",
            "users/test_floods.py::test_silent_connections_of_many_origins",
            "users/test_floods.py::test_silent_connections_are_closed_in_time",
            "managers/ftp/test_attacks.py::test_20_who_does_not_log_in_is_sent_away",
            "managers/ftp/test_attacks.py::test_20_who_is_idle_is_sent_away",
            "managers/ftp/test_attacks.py::test_20_many_half_open_connections_hinder_nobody",
            "managers/sftp/test_log_in.py::test_log_in_timeout",
        ],
    ),
    21: (
        "key exchanges at any rate",
        [
            "security/test_floods.py::test_21_key_exchanges_are_not_to_be_had_at_any_rate",
            "users/test_defence.py::test_rate_of_connections_that_never_log_in",
        ],
    ),
    22: (
        "handles, channels, connections",
        [
            "security/test_floods.py::test_22_handles_are_bounded_and_others_are_served",
            "security/test_floods.py::test_22_channels_are_bounded",
            "security/test_floods.py::test_22_connections_of_one_host_are_bounded",
            "managers/sftp/test_requests.py::test_handles_are_bounded",
            "managers/sftp/test_extensions.py::test_limits",
            "users/test_defence.py::test_connections_in_all_bind_everybody",
        ],
    ),
    23: (
        "giant packets and lines",
        [
            "security/test_floods.py::test_23_sftp_packets_of_impossible_lengths",
            "security/test_floods.py::test_23_what_is_no_ssh_is_closed",
            "managers/ftp/test_attacks.py::test_23_long_lines_are_refused_and_the_session_lives",
            "managers/ftp/test_attacks.py::test_23_an_endless_line_ends_the_session",
            "managers/sftp/test_requests.py::test_impossible_lengths_end_the_session",
            "managers/sftp/test_requests.py::test_bytes_behind_a_write_are_ignored",
            "managers/sftp/test_requests.py::test_short_requests",
        ],
    ),
    24: (
        "giant folders",
        [
            "security/test_floods.py::test_24_a_folder_of_100000_files",
            "managers/sftp/test_bounds.py::test_huge_folder",
            "managers/sftp/test_bounds.py::test_listing_can_be_left",
            "managers/ftp/test_attacks.py::test_24_500000_names_are_streamed",
            "services/local/test_file_system.py::TestListing::test_memory_does_not_grow",
        ],
    ),
    26: (
        "names survive",
        [
            "security/test_names.py::test_26_any_names_at_all",
            "security/test_names.py::test_26_names_that_others_fold_escape_or_expand",
            "security/test_names.py::test_26_forms_of_one_name_are_names_of_their_own",
            "security/test_names.py::test_26_what_rclone_says_of_names",
            "services/local/test_file_system.py::TestNames::test_bytes_are_kept",
            "managers/ftp/test_commands.py::test_names_are_kept_byte_for_byte",
            "managers/sftp/test_requests.py::test_names_are_kept_byte_for_byte",
        ],
    ),
    27: (
        "forged log lines and replies",
        [
            "security/test_names.py::test_27_a_log_line_is_a_line",
            "security/test_names.py::test_27_replies_repeat_nothing_raw",
            "test_logs.py::test_nothing_that_a_client_sends_forges_a_line_or_a_field",
            "managers/ftp/test_attacks.py::test_27_replies_and_log_lines_cannot_be_forged",
        ],
    ),
    28: ("names of addresses, statements of text", ["security/test_code.py::test_source_is_free_of"]),
    29: (
        "secrets at rest",
        [
            "security/test_secrets.py::test_29_no_secret_is_left_and_nobody_else_can_read",
            "security/test_secrets.py::test_29_a_crash_leaves_no_core",
            "cli/test_serve.py::TestFile::test_the_process_keeps_secrets_to_itself",
            "test_data_store.py::test_secrets_are_nowhere_in_clear",
            "test_data_store.py::test_only_the_owner_may_read_what_is_stored",
            "managers/ftp/test_tls.py::test_a_certificate_is_made_once_and_kept_secret",
            "managers/sftp/test_manager.py::test_host_key_is_kept_and_private",
        ],
    ),
    36: (
        "commands, shells, forwards",
        [
            "security/test_before_log_in.py::test_36_openssh_gets_nothing_but_files",
            "security/test_before_log_in.py::test_36_local_and_dynamic_forwards_reach_nothing",
            "managers/sftp/test_log_in.py::test_nothing_but_files",
            "managers/sftp/test_packets.py::test_other_commands",
            "security/test_code.py::test_source_is_free_of",
        ],
    ),
    37: (
        "no root at run time",
        [
            "security/test_privileges.py::test_nothing_of_root_is_left",
            "security/test_privileges.py::test_ports_below_1024_need_no_root",
            "security/test_privileges.py::test_root_without_it_is_warned",
            "services/local/test_new_file.py::TestAccess::test_program_does_not_stay_privileged",
        ],
    ),
    39: (
        "errors that tell too much",
        [
            "security/test_fuzz.py::test_1_12_39_ftp_lines",
            "security/test_fuzz.py::test_1_12_39_sftp_requests",
            "managers/ftp/test_attacks.py::test_39_replies_show_nothing_of_python",
            "managers/ftp/test_attacks.py::test_39_no_line_breaks_the_parser",
            "managers/ftp/test_errors.py::test_what_is_not_for_people_is_told_by_number",
            "managers/sftp/test_requests.py::test_unforeseen_errors_tell_nothing",
            "services/local/test_errors.py::test_every_code_has_an_error_without_a_path_of_the_machine",
        ],
    ),
}

BAD_INPUT: dict[str, list[str]] = {
    "components of 300 bytes, paths of 5,000": [
        "managers/ftp/test_attacks.py::test_23_long_lines_are_refused_and_the_session_lives",
        "managers/sftp/test_requests.py::test_names_that_cannot_be",
    ],
    "absurd offsets and lengths": [
        "managers/sftp/test_requests.py::test_absurd_offsets",
        "managers/sftp/test_requests.py::test_absurd_size",
        "test_open_file.py::test_absurd_offsets_are_clear_errors",
        "security/test_storage.py::test_offsets_that_nobody_means",
    ],
    "negative REST": [
        "security/test_storage.py::test_offsets_that_nobody_means",
    ],
    "unknown SFTP requests": [
        "managers/sftp/test_requests.py::test_unknown_requests",
        "managers/sftp/test_requests.py::test_unknown_extension",
    ],
    "close of a handle twice": [
        "managers/sftp/test_requests.py::test_close_twice",
    ],
    "read of a directory": [
        "managers/sftp/test_requests.py::test_folders_are_not_files",
    ],
    "two writers of one path": [
        "security/test_storage.py::test_two_writers_of_one_path",
        "security/test_storage.py::test_many_writers_of_one_path_and_readers",
        "test_open_file.py::test_two_writers_last_commit_wins_both_whole",
    ],
    "disk full in mid-upload": [
        "security/test_storage.py::test_disk_full_by_ftp",
        "security/test_storage.py::test_disk_full_by_sftp",
        "security/test_storage.py::test_disk_full_concerns_the_writer_alone",
        "services/local/test_new_file.py::TestFailures::test_disk_full",
    ],
    "DIR not readable": [
        "cli/test_serve.py::TestWrongUsage::test_a_folder_that_cannot_be_read",
        "services/local/test_account.py::test_unreadable_root",
    ],
    "port in use": [
        "cli/test_serve.py::TestDemo::test_a_taken_port_is_told_with_the_option_that_helps",
        "cli/test_serve.py::TestFile::test_a_manager_whose_port_is_taken_keeps_no_other",
        "managers/ftp/test_server.py::test_a_port_in_use",
        "managers/sftp/test_manager.py::test_port_in_use",
    ],
    "broken certificate": [
        "cli/test_serve.py::TestFile::test_a_broken_certificate_keeps_no_other",
        "managers/ftp/test_tls.py::test_a_broken_certificate_stops_the_start_with_a_reason",
        "managers/sftp/test_manager.py::test_broken_host_key",
    ],
    "unknown account in a mount": [
        "cli/test_config.py::test_check_of_a_mount_of_an_unknown_account",
    ],
    "fuzz of the FTP line parser": [
        "managers/ftp/test_attacks.py::test_39_no_line_breaks_the_parser",
        "security/test_fuzz.py::test_1_12_39_ftp_lines",
    ],
    "fuzz of the path normaliser": [
        "test_paths.py::test_all_bytes_lead_to_a_path_or_an_error",
        "test_paths.py::test_bytes_survive",
    ],
    "fuzz of SFTP requests": [
        "managers/sftp/test_packets.py::test_no_sequence_of_requests_breaks_a_session",
        "managers/sftp/test_packets.py::test_attributes_are_read_or_refused",
        "managers/sftp/test_packets.py::test_random_bytes_do_no_harm",
        "security/test_fuzz.py::test_1_12_39_sftp_requests",
    ],
}
